"""Properties of the processor that affect the last digits of results."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

CPUINFO = Path("/proc/cpuinfo")

KEYS = ("processor", "vendor", "onednn")
"""Keys of `processor`: the model's name, its vendor, and oneDNN's instruction set."""

_BEFORE = (("sse41", "sse4_1"), ("avx", "avx"), ("avx2", "avx2"))
_AVX2 = (("avx2_vnni", "avx_vnni"), ("avx2_vnni_2", "avx_vnni_int8 avx_ne_convert"))
_AVX512 = (
    ("avx512_core", "avx512f avx512bw avx512vl avx512dq"),
    ("avx512_core_vnni", "avx512_vnni"),
    ("avx512_core_bf16", "avx512_bf16"),
    ("avx512_core_fp16", "avx512_fp16"),
    ("avx512_core_amx", "amx_tile amx_int8 amx_bf16"),
    ("avx512_core_amx_fp16", "amx_fp16"),
)
"""oneDNN's instruction sets in rising order, each with the Linux flags that it adds to those before it;
AVX-512 does not need the extensions of AVX2. Source: oneDNN, "CPU dispatcher control",
https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html."""

_ORDER = tuple(name for name, _ in (*_BEFORE, *_AVX2, *_AVX512))


def usable_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> dict[str, str]:
    """Return the values of KEYS on this machine, "" if unknown."""
    try:
        lines = CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    facts: dict[str, str] = {}
    for line in lines:
        key, _, value = line.partition(":")
        facts.setdefault(key.strip(), value.strip())
    name = facts.get("model name") or platform.processor() or sys.platform
    vendor = facts.get("vendor_id") or facts.get("CPU implementer", "")
    return {"processor": name, "vendor": vendor, "onednn": onednn_isa(facts.get("flags", "").split())}


def onednn_isa(flags: Collection[str]) -> str:
    """Return oneDNN's highest instruction set under these flags and the environment.

    "off" if TensorFlow does not use oneDNN, "" if no flag is known.
    """
    if os.environ.get("TF_ENABLE_ONEDNN_OPTS", "").lower() in ("0", "false"):
        return "off"
    asked = (os.environ.get("ONEDNN_MAX_CPU_ISA") or os.environ.get("DNNL_MAX_CPU_ISA") or "").lower()
    allowed = _ORDER[: _ORDER.index(asked) + 1] if asked in _ORDER else _ORDER
    able: list[str] = []
    for chain in ((*_BEFORE, *_AVX2), (*_BEFORE, *_AVX512)):
        for name, needed in chain:
            if name not in allowed or not set(needed.split()) <= set(flags):
                break
            able.append(name)
    return max(able, key=_ORDER.index, default="")


def other_processors(
    ours: Iterable[Mapping[str, Any]], theirs: Iterable[Mapping[str, Any]], against: str
) -> str:
    """Return a warning if two sets of nets were trained on different kinds of processor, else "".

    ours, theirs: environment records of nets trained end to end. against: a name for theirs.
    """
    mine, other = list(ours), list(theirs)
    if all(same_processor(one, two) for one in mine for two in other):
        return ""
    here, there = (
        ", ".join(sorted({str(one.get("processor", "unknown")) for one in side})) for side in (mine, other)
    )
    return (
        f"nets trained end to end give slightly different scores on other processors: ours ran on {here}, "
        f"those of {against} on {there}; a difference need not be a change of the code"
    )


def same_processor(then: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Return whether two environment records agree on processor and GPU, in the keys that both have."""
    return all(then[key] == now[key] for key in (*KEYS, "device") if then.get(key) and now.get(key))
