"""Seeds, determinism, and the record of the environment a cell ran in."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any

import bench

PACKAGES = (
    "tensorflow",
    "keras",
    "keras-cv",
    "numpy",
    "scikit-learn",
    "imbalanced-learn",
    "cleanlab",
    "pillow",
    "openvino",
)
"""What can change a prediction; their versions go into every result."""


PRECISION, XLA = "float32", "off"
"""How nets compute, trained or not: half precision and XLA were measured, and slow CPUs down
(docs/benchmarks.md)."""


def quiet() -> None:
    """Keep TensorFlow from writing its notices over ours; call before it is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")


def make_deterministic() -> None:
    """Let every TensorFlow operation give the same bits each time it runs on this machine."""
    quiet()
    import keras
    import tensorflow as tf

    tf.config.experimental.enable_op_determinism()
    tf.config.optimizer.set_jit(XLA != "off")
    # A file in the user's home could say otherwise.
    keras.config.set_floatx(PRECISION)
    keras.config.set_dtype_policy(PRECISION)
    keras.utils.set_random_seed(0)


def record() -> dict[str, Any]:
    """Return versions and machine, without importing any of the packages."""
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return {
        "messybench": bench.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "packages": versions,
        "precision": PRECISION,
        "xla": XLA,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or sys.platform
