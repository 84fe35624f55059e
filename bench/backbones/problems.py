"""Reasons why a backbone, or several joined, cannot be used under a protocol. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from bench.backbones.engine_choice import engine_problem
from bench.backbones.info import ANY_SIZE, JOIN, PREPROCESS, UNSAID, BackboneInfo, Origin
from bench.backbones.precision import FLOAT32
from bench.backbones.registry import reading_of, size_problem, weights_of
from bench.core.cell import Value
from bench.core.protocol import KEYS, image_size

OF_IMAGES = ("input_size", "crop", "mirror", "preprocess", "engine", "layers", "pool", "unit_fields")
"""Protocol keys without meaning where no image is read."""


def problem_with(
    parts: Sequence[BackboneInfo], regime: str, weights: str, setting: Mapping[str, Value]
) -> str | None:
    """Return why these parts cannot be used together, or one alone so, or None. Imports nothing heavy."""
    name = JOIN.join(info.name for info in parts)
    if len(parts) > 1 and regime != "frozen":
        return f"regime {regime} trains one net; {name} is joined from the features of frozen ones"
    for info, own in zip(parts, weights_of(parts, weights), strict=True):
        if problem := problem_of(info, regime, own, setting):
            return problem
    images = [info for info in parts if info.reads == "pixels"]
    nets = [info for info in images if info.is_net]
    readings = [reading_of(info, setting) for info in nets]
    if setting["layers"] and not any(reading.layers for reading in readings):
        return f"layers={setting['layers']} names no layer of {name}"
    if not nets and (setting["pool"] != "average" or setting["unit_fields"]):
        return f"pool and unit_fields are for the features of nets, which {name} has not"
    if not any(info.is_net for info in parts) and setting["precision"] != FLOAT32:
        return f"precision is for nets, and {name} has none"
    if not images:
        idle = (key for key in OF_IMAGES if setting[key] != KEYS[key].default)
        if (key := next(idle, None)) is not None:
            return f"--set {key} is for images, at which {name} does not look"
    return None


def no_maps(parts: Sequence[BackboneInfo], setting: Mapping[str, Value]) -> str | None:
    """Return why a head of convolutions has no feature maps to use, or None."""
    if len(parts) > 1:
        return "joined backbones have no common feature map, which conv stands on"
    if not parts[0].is_net or parts[0].source == "onnx":
        return f"{parts[0].name} has no feature map, which conv stands on"
    changed = [
        key for key in ("layers", "pool", "unit_fields", "mirror") if setting[key] != KEYS[key].default
    ]
    return f"--set {changed[0]} is for pooled features; conv stands on the unpooled map" if changed else None


def problem_of(info: BackboneInfo, regime: str, weights: str, setting: Mapping[str, Value]) -> str | None:
    """Return why this backbone cannot be used so, or None. setting: the protocol. Imports nothing heavy."""
    if info.origin is not None and (problem := outside_problem(info, info.origin, regime, setting)):
        return problem
    if info.reads == "titles" and info.is_net and (regime != "scratch" or weights != "random"):
        return (
            f"{info.name} reads titles and is trained from random weights: use --regime scratch, on its own"
        )
    if not info.is_net and regime != "frozen":
        return f"{info.name} has nothing that regime {regime} could train: use --regime frozen"
    if info.needs and find_spec(info.needs[0]) is None:
        package, extra = info.needs
        return f"{info.name} needs {package}, which is not installed: pip install 'messybench[{extra}]'"
    if regime == "scratch" and weights != "random":
        return (
            f"regime scratch starts from random weights, not {weights}: --weights random or --regime frozen"
        )
    if regime == "finetune" and weights == "random":
        return (
            "regime finetune starts from trained weights: --weights imagenet or a file, or --regime scratch"
        )
    if weights == "imagenet" and "imagenet" not in info.weights:
        others = "a file" if regime == "finetune" else "random or a file"
        return f"{info.name} has no published ImageNet weights: use --weights {others}"
    if problem := engine_problem(info, regime, setting):
        return problem
    return size_problem(info, image_size(setting["input_size"], info.input_size))


def outside_problem(
    info: BackboneInfo, origin: Origin, regime: str, setting: Mapping[str, Value]
) -> str | None:
    """Return why a backbone from outside cannot be used so, or None."""
    fixed = origin.form in ("onnx", "features")
    if regime == "scratch" or (regime == "finetune" and fixed):
        return f"{info.name} has trained weights: use --regime frozen" + " or finetune" * (not fixed)
    if not info.is_net:
        return None
    if setting["precision"] != FLOAT32:
        return f"{info.name} computes as it was saved: leave out precision={setting['precision']}"
    if origin.form == "onnx" and not reading_of(info, setting).plain:
        return f"{info.name} gives one output: layers, grids of fields and unit_fields are for Keras models"
    if origin.form == "preset" and reading_of(info, setting).layers:
        return f"{info.name} gives one output: leave out layers"
    if origin.form == "preset" and info.preprocess != UNSAID and setting["preprocess"] != "backbone":
        return f"{info.name} scales pixels itself, as its image converter says: leave out preprocess"
    missing = []
    if info.input_size == ANY_SIZE and setting["input_size"] == "native":
        missing.append("--set input_size=224, say: the size of the images that it was trained on")
    if info.preprocess == UNSAID and setting["preprocess"] == "backbone":
        modes = "|".join(PREPROCESS)
        missing.append(f"--set preprocess={modes}: how its training scaled pixels (none: it does so itself)")
    if missing:
        return f"{info.name} does not say how images reach it; add {' and '.join(missing)}"
    if origin.classifies and not reading_of(info, setting).layers:
        if regime == "frozen":
            below = f"layers={origin.before}" if origin.before else "layers=NAME"
            return (
                f"{info.name} ends in class probabilities ({origin.classifies}): read the features below it, "
                f"--set {below}"
            )
        return (
            f"{info.name} ends in class probabilities ({origin.classifies}): save it without that layer, "
            "keras.Model(model.input, model.layers[-2].output).save('FILE.keras')"
        )
    return None
