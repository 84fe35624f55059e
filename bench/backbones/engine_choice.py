"""Choice and validation of the engine that extracts frozen features."""

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

    OpenVINO for frozen nets on a CPU in float32, if it is installed; TensorFlow otherwise. The result is part
    of a cell's identity.
    """
    if setting["engine"] != AUTO:
        return dict(setting)
    frozen = regime == "frozen" and any(info.is_net and info.reads == "pixels" for info in parts)
    on_cpu = frozen and setting["precision"] == FLOAT32 and not gpus() and find_spec("openvino") is not None
    return {**setting, "engine": "openvino" if on_cpu else "tensorflow"}


def engine_problem(info: BackboneInfo, regime: str, setting: Mapping[str, Value]) -> str | None:
    """Return why the protocol's engine cannot compute a backbone's features, or None."""
    if info.source == "onnx" and setting["engine"] != "openvino":
        return f"{info.name} runs in OpenVINO alone: add --set engine=openvino"
    if not info.is_net or setting["engine"] != "openvino" or regime != "frozen":
        return None
    if setting["precision"] != FLOAT32:
        return f"engine=openvino computes in {FLOAT32}: add --set engine=tensorflow"
    return NO_OPENVINO if find_spec("openvino") is None else None
