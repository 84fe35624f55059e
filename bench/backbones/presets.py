"""Presets of keras-hub by name, Kaggle handle or folder: their files, and the images they take."""

from __future__ import annotations

import ast
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.backbones.keras_config import CODE, TEXT_LAYERS, Unsupported, objects_in
from bench.backbones.weights import file_hash, kaggle_models
from bench.core.errors import BenchError, WeightsError, unknown
from bench.core.paths import user_path
from bench.core.regular_files import Refused, open_file

HUB = "hub:"
"""Prefix of a preset's name."""

NEEDS = ("keras_hub", "hub")
"""The package, and the extra that brings it."""

CONFIG, CONVERTER, WEIGHTS, SHARDS = (
    *("config.json", "image_converter.json"),
    *("model.weights.h5", "model.weights.json"),
)
"""Files of a preset: architecture, preprocessing of images, and weights in one file or listed in another."""

DUAL_ENCODERS = ("CLIPBackbone", "SigLIPBackbone", "MetaCLIP2Backbone")
"""Classes with an image and a text encoder; features come from the first."""

CLASS_TOKEN = ("DINOV2Backbone", "DINOV3Backbone", "DeiTBackbone")
"""Classes whose first output token is the class token. ViTBackbone has it in its configuration."""

INTERPOLATING = ("DINOV2Backbone", "DINOV3Backbone")
"""Classes that interpolate position embeddings to any multiple of the patch size."""

_HANDLE = re.compile(r"kaggle://((?:[\w.-]+/){4}\d+)", re.ASCII)
_MOST_JSON = 4 * 2**20
_SHARD = re.compile(r"[\w.-]+\.weights\.h5", re.ASCII)


@dataclass(frozen=True)
class Preset:
    """Description of a preset, read from its files.

    folder: of its files. digest: sha256 of the files that determine its features. size: (height, width) of
    its images, or None. any_size: whether it takes other sizes, multiples of `multiple`. interpolates:
    whether it must be built for each size. dual_encoder: whether it also encodes text. scale, offset: of
    pixels 0 to 255, one number or one for each channel; None: unknown. token: whether it has a class token.
    """

    folder: Path
    digest: str
    size: tuple[int, int] | None
    any_size: bool
    multiple: int
    interpolates: bool
    dual_encoder: bool
    scale: float | tuple[float, ...] | None
    offset: float | tuple[float, ...] | None
    token: bool


def is_preset(name: str) -> bool:
    """Return whether a name, typed or stored, is of a preset."""
    return name.startswith(HUB)


@dataclass(frozen=True)
class PresetLocation:
    """Folder of a preset. handle: on Kaggle, with its version; "" for a local preset."""

    folder: Path
    handle: str = ""


def place_of(text: str) -> PresetLocation:
    """Return the folder of `hub:PRESET`, present or not.

    A local folder precedes a preset of keras-hub. Raises BenchError for an unknown one.
    """
    preset = text.removeprefix(HUB)
    folder = user_path(preset)
    if not preset:
        raise BenchError(f"--backbone {text!r}: name a preset of keras-hub, or its folder")
    if folder.is_dir():
        return PresetLocation(folder)
    if match := _HANDLE.fullmatch(preset):
        return PresetLocation(kaggle_models() / match[1], match[1])
    if "://" in preset:
        raise BenchError(
            f"--backbone {text!r}: presets are taken from Kaggle, as kaggle://owner/model/keras/variant/1; "
            "download any other one and name its folder"
        )
    if "/" in preset or preset.startswith("."):
        raise BenchError(f"--backbone {text!r}: there is no folder {preset}")
    handles = preset_handles()
    if preset not in handles:
        if find_spec(NEEDS[0]) is None:
            raise BenchError(
                f"--backbone {text!r}: presets need keras-hub, which is not installed: "
                f"pip install 'messybench[{NEEDS[1]}]'"
            )
        raise unknown("preset", preset, handles, "keras.io/keras_hub/presets lists those of keras-hub")
    handle = handles[preset]
    return PresetLocation(kaggle_models() / handle, handle)


@cache
def preset_handles() -> Mapping[str, str]:
    """Return the Kaggle handle of every preset that keras-hub knows; empty where it is not installed.

    Its tables are parsed, not imported: an import would load TensorFlow.
    """
    spec = find_spec(NEEDS[0])
    found: dict[str, str] = {}
    for place in (spec.submodule_search_locations or ()) if spec is not None else ():
        for path in sorted(Path(place).glob("src/models/*/*_presets.py")):
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
                    found |= _handles(node.value)
    return found


def _handles(table: ast.Dict) -> dict[str, str]:
    found = {}
    for key, entry in zip(table.keys, table.values, strict=True):
        if not isinstance(key, ast.Constant) or not isinstance(entry, ast.Dict):
            continue
        for name, value in zip(entry.keys, entry.values, strict=True):
            named = isinstance(name, ast.Constant) and name.value == "kaggle_handle"
            if named and isinstance(value, ast.Constant):
                found[str(key.value)] = str(value.value).removeprefix("kaggle://")
    return found


def preset_name(text: str) -> str:
    """Return a preset's name as tables, folders and lists of backbones can have it.

    >>> preset_name("hub:kaggle://keras/dinov2/keras/dinov2_small/1"), preset_name("hub:nets/my vit/")
    ('hub:dinov2_small', 'hub:my_vit')
    """
    preset = text.removeprefix(HUB)
    match = _HANDLE.fullmatch(preset)
    last = match[1].split("/")[-2] if match else user_path(preset).absolute().name
    return HUB + re.sub(r"[^A-Za-z0-9_.-]", "_", last)[-60:]


def read_preset(text: str) -> Preset:
    """Return the preset that `hub:PRESET` names. Imports neither keras-hub nor Keras.

    Raises BenchError (one line) for one that is unknown, not on this machine, no encoder of images, or whose
    configuration names classes that are not Keras's or keras-hub's.
    """
    place = place_of(text)
    where = f"--backbone {text!r}"
    if not all(path.is_file() for path in weights_files(place.folder, text)):
        if place.handle:
            raise BenchError(f"{where} is not on this machine: bench fetch-weights {text} downloads it")
        raise BenchError(f"{where}: the folder has no {CONFIG} and {WEIGHTS}; save_to_preset writes them")
    try:
        config = _json(place.folder / CONFIG)
        converter = _json(place.folder / CONVERTER) if (place.folder / CONVERTER).is_file() else None
        own, images = _encoder(config), _converter(converter)
    except Unsupported as why:
        raise BenchError(f"{where} {why}") from None
    sides: Any = own["image_shape"]
    try:
        fixed = _pair(sides[:2])
    except (TypeError, ValueError):
        raise BenchError(f"{where} has an image_shape that is no size of images") from None
    cls = str(config["class_name"])
    interpolates, patch = cls in INTERPOLATING, own.get("patch_size", 1)
    any_size = interpolates or fixed is None
    return Preset(
        place.folder,
        _digest(place.folder, text),
        (images.get("image_size") or fixed) if any_size else fixed,
        any_size,
        patch if interpolates and isinstance(patch, int) else 1,
        interpolates,
        cls in DUAL_ENCODERS,
        images.get("scale"),
        images.get("offset"),
        cls in CLASS_TOKEN or (cls == "ViTBackbone" and own.get("use_class_token") is not False),
    )


def weights_files(folder: Path, text: str) -> list[Path]:
    """Return the configuration and weights files of a preset."""
    if not (folder / SHARDS).is_file():
        return [folder / CONFIG, folder / WEIGHTS]
    try:
        named = _json(folder / SHARDS)["weight_map"].values()
        shards = {name for one in named for name in (one if isinstance(one, list) else [one])}
        if not all(_SHARD.fullmatch(name) for name in shards):
            raise Unsupported("names weights outside its folder")
    except (Unsupported, KeyError, TypeError, AttributeError):
        raise BenchError(f"--backbone {text!r}: {SHARDS} is no list of weights files") from None
    return [folder / CONFIG, folder / SHARDS, *(folder / name for name in sorted(shards))]


def _digest(folder: Path, text: str) -> str:
    """Return the sha256 of names and contents of the files that determine features."""
    digest = hashlib.sha256()
    paths = [*weights_files(folder, text), folder / CONVERTER]
    try:
        for path in paths:
            if path.is_file():
                digest.update(f"{path.name}\x1f{file_hash(path)}\x1d".encode())
    except WeightsError as error:
        raise BenchError(f"--backbone {text!r}: {error}") from None
    return digest.hexdigest()


def _json(path: Path) -> Any:
    try:
        with open_file(path) as file:
            data = file.read(_MOST_JSON)
        return json.loads(data)
    except (Refused, OSError, ValueError, RecursionError) as error:
        raise Unsupported(f"has a {path.name} that cannot be read ({type(error).__name__})") from None


def _encoder(config: Any) -> Mapping[str, Any]:
    """Return the configuration of the image encoder."""
    if not isinstance(config, dict) or not isinstance(config.get("config"), dict):
        raise Unsupported(f"has a {CONFIG} that is not a preset's")
    if "registered_name" not in config:
        raise Unsupported(
            "is not a preset that Keras saved: load it with keras_hub.models.Backbone.from_preset and write "
            "it with save_to_preset"
        )
    _check(config)
    own: Any = config["config"]
    if config["class_name"] in DUAL_ENCODERS:
        tower = own.get("vision_encoder")
        own = tower.get("config") if isinstance(tower, dict) else None
    if not isinstance(own, dict) or "image_shape" not in own:
        raise Unsupported(f"is a {str(config.get('class_name'))[:60]}, which has no image encoder")
    return own


def _converter(config: Any) -> Mapping[str, Any]:
    """Return `image_size`, `scale` and `offset` of an image converter, none where there is no converter."""
    if config is None:
        return {}
    _check(config)
    try:
        own = config["config"]
        scale, offset, size = own.get("scale"), own.get("offset"), own.get("image_size")
        # The format of older presets, which keras-hub still reads.
        if "height" in own and "width" in own:
            size = [own["height"], own["width"]]
        if "mean" in own and "variance" in own:
            deviations = [float(value) ** 0.5 for value in own["variance"]]
            offset = [-mean / one for mean, one in zip(own["mean"], deviations, strict=True)]
            scale = [scale / one for one in deviations]
        return {
            "image_size": None if size is None else _pair(size),
            "scale": 1.0 if scale is None else _channels(scale),
            "offset": 0.0 if offset is None else _channels(offset),
        }
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
        raise Unsupported(f"has a {CONVERTER} that does not say how pixels are scaled") from None


def _pair(size: Any) -> tuple[int, int] | None:
    """Return a height and width of the user's data, None where one of them is free."""
    height, width = size
    if height is None or width is None:
        return None
    if not all(isinstance(one, int) and one > 0 for one in (height, width)):
        raise ValueError
    return height, width


def _channels(value: Any) -> float | tuple[float, ...]:
    if isinstance(value, (int, float)):
        return float(value)
    channels = tuple(float(one) for one in value)
    if len(channels) != 3:
        raise ValueError
    return channels


def _check(config: Any) -> None:
    """Raise Unsupported for an object with classes that are not of Keras and keras-hub, or that run code."""
    for module, name in objects_in(config):
        if (
            name in CODE
            or name in TEXT_LAYERS
            or module.split(".")[0] not in ("keras", "keras_hub", "builtins")
        ):
            raise Unsupported(
                f"has the class {f'{module}.{name}'[:80]}, which is not one of keras-hub's models"
            )
