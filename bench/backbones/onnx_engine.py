"""Features of an ONNX model, computed by OpenVINO with the preprocessing inside its graph."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from threading import local
from typing import Any

import numpy as np

from bench.backbones.engines import Extract, batch_for, compile_model, import_openvino
from bench.backbones.info import BackboneInfo
from bench.backbones.onnx_file import read_onnx
from bench.backbones.registry import preprocess_mode
from bench.core.errors import BenchError

_SCALING: dict[str, tuple[list[float], list[float]]] = {
    # mean and divisor of pixels 0..255, by mode of PREPROCESS
    "unit": ([0.0] * 3, [255.0] * 3),
    "tf": ([127.5] * 3, [127.5] * 3),
    "torch": ([123.675, 116.28, 103.53], [58.395, 57.12, 57.375]),
    "caffe": ([103.939, 116.779, 123.68], [1.0] * 3),
    "none": ([0.0] * 3, [1.0] * 3),
}


def load_onnx(info: BackboneInfo, preprocess: str, size: tuple[int, int]) -> Extract:
    """Return the function from batches of exactly `batch_for(size)` images to rows of features.

    A feature map is averaged. Raises BenchError for a model that OpenVINO cannot read, or whose output is
    neither a row nor a map.
    """
    openvino = import_openvino()
    assert info.origin is not None
    path = Path(info.origin.place)
    described = read_onnx(path)
    batch = batch_for(size)
    shape = [batch, 3, *size] if described.channels_first else [batch, *size, 3]
    try:
        # In an empty folder: a model may name files with its weights.
        with tempfile.TemporaryDirectory(prefix="bench-onnx-") as folder:
            model = openvino.Core().read_model(shutil.copy(path, Path(folder) / "net.onnx"))
            model.reshape(shape)
            mode = preprocess_mode(info, preprocess)
            compiled = compile_model(_with_pixels(openvino, model, mode, described.channels_first))
    except RuntimeError as error:
        why = " ".join(str(error).split())[:300]
        raise BenchError(
            f"{info.name}: OpenVINO cannot run it for {batch} images at a time ({why})"
        ) from None
    rank = len(compiled.output(0).partial_shape)
    axes = {2: (), 4: (2, 3) if described.channels_first else (1, 2)}.get(rank)
    if axes is None:
        raise BenchError(f"{info.name} gives arrays of {rank} axes, not a row or a map of features per image")
    thread = local()

    def extract(images: np.ndarray) -> np.ndarray:
        if not hasattr(thread, "request"):
            thread.request = compiled.create_infer_request()
        thread.request.infer({0: images})
        found = np.array(thread.request.get_output_tensor(0).data, np.float32)
        return found.mean(axis=axes, dtype=np.float32) if axes else found

    return extract


def _with_pixels(openvino: Any, model: Any, mode: str, channels_first: bool) -> Any:
    """Return the model with an input of (n, h, w, 3) uint8 pixels."""
    prepared = openvino.preprocess.PrePostProcessor(model)
    image = prepared.input()
    image.tensor().set_element_type(openvino.Type.u8).set_layout(openvino.Layout("NHWC"))
    image.model().set_layout(openvino.Layout("NCHW" if channels_first else "NHWC"))
    mean, scale = _SCALING[mode]
    if mode != "none":
        steps = image.preprocess().convert_element_type(openvino.Type.f32)
        if mode == "caffe":
            steps = steps.reverse_channels()
        steps.mean(mean).scale(scale)
    return prepared.build()
