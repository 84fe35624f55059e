"""The device that nets run on, found without importing TensorFlow."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

DRIVER = Path("/proc/driver/nvidia/gpus")
"""The NVIDIA driver's descriptions of GPUs on Linux: ADDRESS/information, with a line `Model:`."""

CPU = "cpu"


def gpus() -> tuple[str, ...]:
    """Return the models of the GPUs that TensorFlow finds.

    None without the libraries of the extra `gpu`, or if CUDA_VISIBLE_DEVICES hides them all; as in CUDA, it
    is read up to the first invalid number.
    """
    models = [_model(file) for file in sorted(DRIVER.glob("*/information"))]
    if not models or not _libraries():
        return ()
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return tuple(models)
    chosen: list[str] = []
    for entry in map(str.strip, visible.split(",")):
        if entry.startswith(("GPU-", "MIG-")):
            chosen.append(models[0])
        elif entry.isdecimal() and int(entry) < len(models):
            chosen.append(models[int(entry)])
        else:
            break
    return tuple(chosen)


def device() -> str:
    """Return the device that nets run on: `cpu`, or the model of the first GPU.

    Asks TensorFlow if it is imported already.
    """
    tensorflow: Any = sys.modules.get("tensorflow")
    config = getattr(tensorflow, "config", None)
    if config is None:
        return next(iter(gpus()), CPU)
    found = config.list_physical_devices("GPU")
    return str(config.experimental.get_device_details(found[0]).get("device_name", "GPU")) if found else CPU


def _model(file: Path) -> str:
    lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() == "Model"), "NVIDIA GPU")


def _libraries() -> bool:
    try:
        return find_spec("nvidia.cudnn") is not None
    except ModuleNotFoundError:
        return False
