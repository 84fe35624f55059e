"""Which processor computes: what the system says, and what oneDNN makes of it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.core import environment as env
from bench.core import processor as module
from bench.core.kind import get_kind
from bench.core.paths import search_path
from bench.core.predictions import CellResult
from bench.core.processor import KEYS, onednn_isa, other_processors, processor, same_processor
from bench.runs.open_task import open_task
from bench.runs.plan import Request, make_plan
from bench.store.write import Store
from tests.grids import answers

SKYLAKE = "sse4_1 avx avx2 avx512f avx512bw avx512vl avx512dq"
SAPPHIRE_RAPIDS = f"{SKYLAKE} avx_vnni avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16"


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA", "TF_ENABLE_ONEDNN_OPTS"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("flags", "isa"),
    [
        ("sse4_1", "sse41"),
        ("sse4_1 avx avx2", "avx2"),
        ("sse4_1 avx avx2 avx_vnni", "avx2_vnni"),
        (SKYLAKE, "avx512_core"),
        (f"{SKYLAKE} avx512_vnni avx512_bf16", "avx512_core_bf16"),
        (SAPPHIRE_RAPIDS, "avx512_core_amx"),
        ("sse4_1 avx avx2 avx512f", "avx2"),
        ("", ""),
    ],
)
def test_the_instruction_set_is_the_highest_that_the_flags_allow(flags: str, isa: str) -> None:
    assert onednn_isa(flags.split()) == isa


def test_the_environment_can_ask_for_less(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    assert onednn_isa(SAPPHIRE_RAPIDS.split()) == "avx2"
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "ALL")
    assert onednn_isa(SAPPHIRE_RAPIDS.split()) == "avx512_core_amx"
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    assert onednn_isa(SAPPHIRE_RAPIDS.split()) == "off"


def test_what_the_system_says_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = f"processor\t: 0\nvendor_id\t: AuthenticAMD\nmodel name\t: AMD EPYC 9B14\nflags\t\t: {SKYLAKE}\n"
    (tmp_path / "cpuinfo").write_text(told + told.replace("9B14", "other"), encoding="utf-8")
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "cpuinfo")
    assert processor() == {"processor": "AMD EPYC 9B14", "vendor": "AuthenticAMD", "onednn": "avx512_core"}
    monkeypatch.setattr(module, "CPUINFO", tmp_path / "none")
    assert tuple(processor()) == KEYS and processor()["processor"] and not processor()["vendor"]


def test_records_are_compared_by_what_both_of_them_say() -> None:
    amd = {"processor": "AMD EPYC 9B14", "vendor": "AuthenticAMD", "onednn": "avx512_core_bf16"}
    assert same_processor(amd, amd) and same_processor({"processor": "AMD EPYC 9B14"}, amd)
    assert not same_processor(amd, {**amd, "onednn": "avx2"})
    assert not same_processor({"processor": "Intel(R) Xeon(R) Processor"}, amd)
    assert same_processor({}, amd)


def test_nets_of_another_processor_are_named() -> None:
    amd, intel = {"processor": "AMD EPYC"}, {"processor": "Intel Xeon", "onednn": "avx512_core"}
    assert other_processors([amd], [amd], "before") == "" and other_processors([], [amd], "before") == ""
    text = other_processors([intel], [amd], "before")
    assert "ours ran on Intel Xeon, those of before on AMD EPYC" in text


def test_compare_says_it_of_nets_alone(tmp_path: Path) -> None:
    """The pinned sample's record names the processor that it was trained on."""
    root = Path(__file__).resolve().parents[2]
    baseline = json.loads((root / "baselines" / "fashion" / "drawn-tiny.json").read_text(encoding="utf-8"))
    for environment in baseline["provenance"]["environments"]:
        environment["processor"] = "an abacus"
    (tmp_path / "baselines" / "fashion").mkdir(parents=True)
    (tmp_path / "baselines" / "fashion" / "before.json").write_text(
        json.dumps({**baseline, "name": "before"}), encoding="utf-8"
    )
    request = Request("fashion", sample="tiny", backbones=("lenet",), methods=("none",), seeds="0")
    card, examples = open_task(request, search_path("tasks"), tmp_path / "cache")
    for name in ("scratch", "frozen"):
        cell = replace(make_plan(card, request, examples).cells[0], regime=name)
        test, kind = answers(40, 6, 0.5, 0), get_kind("multiclass").metrics
        result = CellResult(
            cell,
            "ok",
            metrics={"test": kind.summary(test)},
            per_class=kind.per_class(test),
            curves=kind.curves(test),
            environment=env.record(),
        )
        Store(tmp_path / name).commit(result, {"val": test, "test": test})
        args = ["compare", "--task", "fashion", "--results", str(tmp_path / name), "--baseline", "before"]
        done = CliRunner().invoke(cli, [*args, "--baselines", str(tmp_path / "baselines")])
        assert ("those of before on an abacus" in done.stderr) == (name == "scratch"), done.output


WORDS = {
    "Intel SSE4.1": "sse41",
    "Intel AVX": "avx",
    "Intel AVX2": "avx2",
    "Intel AVX2 with Intel DL Boost": "avx2_vnni",
    "Intel AVX-512 with AVX512BW, AVX512VL, and AVX512DQ extensions": "avx512_core",
    "Intel AVX-512 with Intel DL Boost": "avx512_core_vnni",
    "Intel AVX-512 with Intel DL Boost and bfloat16 support": "avx512_core_bf16",
    "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support": "avx512_core_fp16",
    "Intel AVX-512 with float16, Intel DL Boost and bfloat16 support and Intel AMX with bfloat16 and 8-bit "
    "integer support": "avx512_core_amx",
}
"""What oneDNN prints, and the name of what it means."""

CONVOLVE = "import tensorflow as tf; tf.nn.conv2d(tf.ones((1, 8, 8, 3)), tf.ones((3, 3, 3, 4)), 1, 'SAME')"


@pytest.mark.slow
@pytest.mark.parametrize("most", ["", "AVX2"])
def test_onednn_itself_says_the_same(most: str, monkeypatch: pytest.MonkeyPatch) -> None:
    own = {**os.environ, "ONEDNN_VERBOSE": "1", **({"ONEDNN_MAX_CPU_ISA": most} if most else {})}
    done = subprocess.run(
        [sys.executable, "-c", CONVOLVE], env=own, capture_output=True, text=True, check=True
    )
    found = re.search(r"info,cpu,isa:(.*)", done.stdout)
    if found is None or found[1] not in WORDS:
        pytest.skip("oneDNN is not used here, or names an instruction set that has no name above")
    if most:
        monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", most)
    assert processor()["onednn"] == WORDS[found[1]]
