"""File formats of exported models: how each is written, and what it needs."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError
from bench.inference.predict import quiet


@dataclass(frozen=True)
class Format:
    """A format. file: name of the model's file. runtime: for people. write: of a keras.Model into a path.

    needs: packages that writing and checking need, beyond those always installed. extra: that brings them.
    """

    file: str
    runtime: str
    write: Callable[[Any, Path], None]
    needs: tuple[str, ...] = ()
    extra: str = ""


def _keras(graph: Any, path: Path) -> None:
    graph.save(str(path))


def _openvino(graph: Any, path: Path) -> None:
    from bench.backbones.engines import import_openvino

    # First: otherwise Keras imports OpenVINO with its telemetry.
    import_openvino()
    from openvino.frontend.tensorflow import utils

    # It deletes, by `exec`, a name that another `exec` has bound: from Python 3.13 on that is an error.
    vars(utils)["exec"] = lambda code: None if code.startswith("del ") else exec(code)
    graph.export(str(path), format="openvino", verbose=False)


def _onnx(graph: Any, path: Path) -> None:
    graph.export(str(path), format="onnx", verbose=False)


def _litert(graph: Any, path: Path) -> None:
    graph.export(str(path), format="litert", verbose=False)


FORMATS = {
    "keras": Format("model.keras", "Keras with TensorFlow", _keras),
    "openvino": Format("model.xml", "OpenVINO", _openvino),
    "onnx": Format("model.onnx", "ONNX Runtime", _onnx, ("tf2onnx", "onnx", "onnxruntime"), "onnx"),
    "litert": Format("model.tflite", "LiteRT, or TensorFlow", _litert),
}
"""Format by name."""


def check_installed(name: str) -> None:
    """Raise BenchError if a package that a format needs is missing."""
    wanted = FORMATS[name]
    for package in wanted.needs:
        if find_spec(package) is None:
            raise BenchError(
                f"--format {name} needs {package}, which is not installed: "
                f"pip install 'messybench[{wanted.extra}]'"
            )


def write_graph(name: str, graph: Any, folder: Path) -> Path:
    """Write a graph into a folder and return the file. Raises BenchError if the format cannot hold it."""
    wanted = FORMATS[name]
    path = folder / wanted.file
    try:
        with quiet(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            wanted.write(graph, path)
    except (BenchError, OSError):
        raise
    except Exception as error:
        # Converters raise exceptions of any type for layers that they do not know.
        why = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise BenchError(f"the model cannot be written as {name} ({why}): choose another --format") from None
    return path
