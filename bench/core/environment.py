"""Record of the environment that a cell ran in."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from typing import Any

import bench
from bench.core.devices import device
from bench.core.processor import processor, usable_cores

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
"""Packages that can change a prediction; results record their versions."""

THREADS = "BENCH_THREADS"
"""Variable with the number of TensorFlow's threads, which a run on a cluster sets on its nodes."""

XLA = "off"
"""XLA is off: it is slower on CPUs (docs/benchmarks.md)."""


def quiet() -> None:
    """Silence TensorFlow's notices and fix its number of threads; call before it is imported."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ.setdefault("KERAS_BACKEND", "tensorflow")
    # The order of sums in gradients depends on the number of threads. The default, the usable cores, would
    # change results under taskset or a batch system.
    os.environ["TF_NUM_INTRAOP_THREADS"] = os.environ.get(THREADS) or str(os.cpu_count() or 1)


def record(precision: str = "float32") -> dict[str, Any]:
    """Return versions and machine, without importing any of the packages. precision: as in the protocol."""
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
        **processor(),
        "cores": usable_cores(),
        "packages": versions,
        "device": device(),
        "precision": precision,
        "xla": XLA,
    }
