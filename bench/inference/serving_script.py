"""Labels of images, by the exported model beside this file: python predict.py IMAGE...

Prints a line of JSON for each image. Needs numpy, Pillow and the runtime of the model's format: keras with
TensorFlow; openvino; onnxruntime; ai-edge-litert or TensorFlow. Classes, thresholds and the size of images
are in model.json. `bench export-model` copies this file; it uses nothing else of messybench.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps

Run = Callable[[np.ndarray], dict[str, np.ndarray]]
"""(n, h, w, 3) uint8 images -> outputs by name.

(n, k) float32 `probabilities`, and of some models bool `decisions` or `sets`.
"""


def read_image(path: str | Path, contract: Mapping[str, Any]) -> np.ndarray:
    """Return an image as the model takes it: (h, w, 3) uint8, upright, transparency on white, resized."""
    with Image.open(path) as file:
        image = ImageOps.exif_transpose(file)
        if image.mode.startswith("I"):
            # 16 bits: Pillow's own conversion would cut off what is above 255.
            levels = (np.asarray(image).astype(np.int64) * 255 + 32767) // 65535
            image = Image.fromarray(levels.astype(np.uint8))
        elif image.has_transparency_data:
            white = Image.new("RGBA", image.size, "white")
            white.alpha_composite(image.convert("RGBA"))
            image = white
        return resize(np.asarray(image.convert("RGB")), contract)


def resize(image: np.ndarray, contract: Mapping[str, Any]) -> np.ndarray:
    """Resize an (h, w, 3) uint8 image to the model's size by Pillow's bilinear filter, as in training."""
    height, width = contract["input"]["shape"][1:3]
    share, mode = contract["input"]["crop"], contract["input"]["resize"]
    if share != 1.0:
        tall, wide = (max(1, round(side * share)) for side in image.shape[:2])
        top, left = (image.shape[0] - tall) // 2, (image.shape[1] - wide) // 2
        image = np.ascontiguousarray(image[top : top + tall, left : left + wide])
    if image.shape[:2] == (height, width):
        return image
    tall, wide = image.shape[:2]
    if mode == "squash":
        return _scaled(image, (height, width), (0.0, 0.0, wide, tall))
    if mode == "crop":
        scale = min(tall / height, wide / width)
        left, top = (wide - width * scale) / 2, (tall - height * scale) / 2
        right, bottom = min(left + width * scale, wide), min(top + height * scale, tall)
        return _scaled(image, (height, width), (max(left, 0.0), max(top, 0.0), right, bottom))
    # "pad": the whole image, on the mean colour of its border.
    scale = min(height / tall, width / wide)
    fitted = min(height, max(1, round(tall * scale))), min(width, max(1, round(wide * scale)))
    small = _scaled(image, fitted, (0.0, 0.0, wide, tall))
    border = np.concatenate([small[0], small[-1], small[1:-1, 0], small[1:-1, -1]])
    canvas = np.empty((height, width, 3), np.uint8)
    canvas[:] = np.rint(border.mean(axis=0)).astype(np.uint8)
    top, left = (height - fitted[0]) // 2, (width - fitted[1]) // 2
    canvas[top : top + fitted[0], left : left + fitted[1]] = small
    return canvas


def _scaled(image: np.ndarray, size: tuple[int, int], box: tuple[float, float, float, float]) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BILINEAR, box=box))


def load(folder: Path, contract: Mapping[str, Any]) -> Run:
    """Return the model of a folder as a function, run by its format's own runtime."""
    path = str(folder / contract["file"])
    loaders = {"keras": _keras, "openvino": _openvino, "onnx": _onnx, "litert": _litert}
    return loaders[contract["format"]](path, contract)


def _keras(path: str, contract: Mapping[str, Any]) -> Run:
    import keras

    for package in contract["imports"]:
        importlib.import_module(package)
    model = keras.saving.load_model(path, compile=False)
    return lambda images: {name: np.asarray(out) for name, out in model(images, training=False).items()}


def _openvino(path: str, contract: Mapping[str, Any]) -> Run:
    # Its import alone would write an id of this machine into the home folder and send it to its makers.
    sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]
    import openvino

    # Without the hint, some processors compute in bfloat16.
    model = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(images: np.ndarray) -> dict[str, np.ndarray]:
        found = model({"image": images})
        return {name: np.array(found[name]) for name in contract["outputs"]}

    return run


def _onnx(path: str, contract: Mapping[str, Any]) -> Run:
    # Otherwise it writes an id of this machine into the home folder and reports to its makers.
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = list(contract["outputs"])
    return lambda images: dict(zip(names, session.run(names, {"image": images}), strict=True))


def _litert(path: str, contract: Mapping[str, Any]) -> Run:
    try:
        interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter
    except ImportError:
        import tensorflow

        interpreter = tensorflow.lite.Interpreter
    runner = interpreter(model_path=path).get_signature_runner()
    return lambda images: {name: np.array(out) for name, out in runner(image=images).items()}


def answer(contract: Mapping[str, Any], outputs: Mapping[str, np.ndarray], row: int) -> dict[str, Any]:
    """Return the answer to one image: its class, or the attributes that it has, and all probabilities.

    set: the classes of its prediction set, of a model with such sets.
    """
    classes, scores = contract["classes"], outputs["probabilities"][row]
    above = {
        name: [label for label, own in zip(classes, outputs[name][row], strict=True) if own]
        for name in ("decisions", "sets")
        if name in outputs
    }
    decision: Any = above.get("decisions", classes[int(scores.argmax())])
    found = {"decision": decision, "probabilities": dict(zip(classes, map(float, scores), strict=True))}
    return {**found, "set": above["sets"]} if "sets" in above else found


def main(paths: Sequence[str]) -> None:
    """Print the answer to each image."""
    folder = Path(__file__).resolve().parent
    contract = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    run = load(folder, contract)
    for path in paths:
        outputs = run(read_image(path, contract)[None])
        print(json.dumps({"image": path, **answer(contract, outputs, 0)}))


if __name__ == "__main__":
    main(sys.argv[1:])
