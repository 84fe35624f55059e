"""Checks of backbones, alone or joined, against a protocol. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec

from bench.backbones.engine_choice import engine_problem
from bench.backbones.info import ANY_SIZE, JOIN, PREPROCESS, UNSPECIFIED, BackboneInfo, Origin
from bench.backbones.precision import FLOAT32
from bench.backbones.registry import feature_spec, size_problem, weights_of
from bench.core.cell import Value
from bench.core.protocol import KEYS, image_size

IMAGE_KEYS = ("input_size", "crop", "mirror", "preprocess", "engine", "layers", "pool", "unit_fields")
"""Protocol keys that apply to images only."""


def problem_with(
    parts: Sequence[BackboneInfo], regime: str, weights: str, setting: Mapping[str, Value]
) -> str | None:
    """Return why these parts cannot be used under this protocol, together or alone, or None."""
    name = JOIN.join(info.name for info in parts)
    if len(parts) > 1 and regime != "frozen":
        return f"regime {regime} trains one net; {name} is joined from the features of frozen ones"
    for info, part_weights in zip(parts, weights_of(parts, weights), strict=True):
        if problem := problem_of(info, regime, part_weights, setting):
            return problem
    images = [info for info in parts if info.reads == "pixels"]
    nets = [info for info in images if info.is_net]
    specs = [feature_spec(info, setting) for info in nets]
    if setting["layers"] and not any(spec.layers for spec in specs):
        return f"layers={setting['layers']} names no layer of {name}"
    if not nets and (setting["pool"] != "average" or setting["unit_fields"]):
        return f"pool and unit_fields are for nets, and {name} has none"
    if not any(info.is_net for info in parts) and setting["precision"] != FLOAT32:
        return f"precision is for nets, and {name} has none"
    if not images:
        idle = (key for key in IMAGE_KEYS if setting[key] != KEYS[key].default)
        if (key := next(idle, None)) is not None:
            return f"--set {key} is for images, which {name} does not read"
    return None


def feature_map_problem(parts: Sequence[BackboneInfo], setting: Mapping[str, Value]) -> str | None:
    """Return why a convolutional head has no feature maps to train on, or None."""
    if len(parts) > 1:
        return "joined backbones have no common feature map, which conv needs"
    if not parts[0].is_net or parts[0].source == "onnx":
        return f"{parts[0].name} has no feature map, which conv needs"
    changed = [
        key for key in ("layers", "pool", "unit_fields", "mirror") if setting[key] != KEYS[key].default
    ]
    return f"--set {changed[0]} is for pooled features; conv needs the unpooled map" if changed else None


def problem_of(info: BackboneInfo, regime: str, weights: str, setting: Mapping[str, Value]) -> str | None:
    """Return why this backbone cannot be used under this protocol, or None."""
    if info.origin is not None and (problem := external_problem(info, info.origin, regime, setting)):
        return problem
    if info.reads == "titles" and info.is_net and (regime != "scratch" or weights != "random"):
        return f"{info.name} reads titles and is trained from random weights: use --regime scratch, unjoined"
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


def external_problem(
    info: BackboneInfo, origin: Origin, regime: str, setting: Mapping[str, Value]
) -> str | None:
    """Return why an external backbone cannot be used under this protocol, or None."""
    fixed = origin.form in ("onnx", "features")
    if regime == "scratch" or (regime == "finetune" and fixed):
        return f"{info.name} has trained weights: use --regime frozen" + " or finetune" * (not fixed)
    if not info.is_net:
        return None
    if setting["precision"] != FLOAT32:
        return f"{info.name} computes as it was saved: leave out precision={setting['precision']}"
    if origin.form == "onnx" and not feature_spec(info, setting).plain:
        return f"{info.name} gives one output: layers, grids of fields and unit_fields are for Keras models"
    if origin.form == "preset" and feature_spec(info, setting).layers:
        return f"{info.name} gives one output: leave out layers"
    if origin.form == "preset" and info.preprocess != UNSPECIFIED and setting["preprocess"] != "backbone":
        return f"{info.name} scales pixels by its image converter: leave out preprocess"
    missing = []
    if info.input_size == ANY_SIZE and setting["input_size"] == "native":
        missing.append("--set input_size=224, say: the size of the images that it was trained on")
    if info.preprocess == UNSPECIFIED and setting["preprocess"] == "backbone":
        modes = "|".join(PREPROCESS)
        missing.append(f"--set preprocess={modes}: how its training scaled pixels (none: it does so itself)")
    if missing:
        return f"{info.name} does not specify its preprocessing; add {' and '.join(missing)}"
    if origin.classifies and not feature_spec(info, setting).layers:
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
