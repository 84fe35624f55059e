"""Choice of the engine that extracts features of frozen nets, and reasons against one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from bench.backbones.info import BackboneInfo
from bench.core.cell import Value
from bench.core.devices import gpus
from bench.core.protocol import AUTO, KEYS

NO_OPENVINO = (
    "engine=openvino needs a package that is not installed: pip install openvino, or --set engine=tensorflow"
)

FLOAT32 = str(KEYS["precision"].default)


def with_engine(parts: Sequence[BackboneInfo], regime: str, setting: Mapping[str, Value]) -> dict[str, Value]:
    """Return a protocol with the actual engine in place of `auto`.

    OpenVINO where frozen nets run on a CPU in single precision and it is installed; TensorFlow where it finds
    a GPU, in another precision, and where no engine computes anything: for whole nets, and for backbones that
    are no nets. A cell's identity contains the result, and so the engine of its features.
    """
    if setting["engine"] != AUTO:
        return dict(setting)
    frozen = regime == "frozen" and any(info.is_net and info.reads == "pixels" for info in parts)
    on_cpu = frozen and setting["precision"] == FLOAT32 and not gpus() and find_spec("openvino") is not None
    return {**setting, "engine": "openvino" if on_cpu else "tensorflow"}


def engine_problem(info: BackboneInfo, regime: str, setting: Mapping[str, Value]) -> str | None:
    """Return why the engine that a protocol names cannot compute a backbone's features so, or None."""
    if info.source == "onnx" and setting["engine"] != "openvino":
        return f"{info.name} runs in OpenVINO alone: add --set engine=openvino"
    if not info.is_net or setting["engine"] != "openvino" or regime != "frozen":
        return None
    if setting["precision"] != FLOAT32:
        return f"engine=openvino computes in {FLOAT32}: add --set engine=tensorflow"
    return NO_OPENVINO if find_spec("openvino") is None else None
