"""messybench: which backbone and which remedy help when image labels are imbalanced, missing or wrong."""

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_LAZY = {
    "BenchError": "bench.core.errors",
    "ResultTable": "bench.api.tables",
    "Results": "bench.api.results",
    "load": "bench.api.results",
    "run": "bench.api.run",
}
"""Modules of the public names, imported on first use: `import bench` imports nothing else."""

__all__ = ["BenchError", "ResultTable", "Results", "load", "run"]


def __getattr__(name: str) -> Any:
    """Import a public name."""
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = found = getattr(import_module(_LAZY[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
