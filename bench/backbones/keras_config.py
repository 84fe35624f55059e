"""The configuration in a `.keras` file, read without Keras: inputs, outputs, scaling of pixels, code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

SAFE_MODULES = ("keras", "keras_hub", "keras_cv", "builtins")
"""Packages whose classes a file may name: those that Keras trusts."""

CODE = ("Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
"""Classes that run code from the file, or from another file."""

TEXT_LAYERS = ("StringLookup", "IntegerLookup", "TextVectorization", "HashedCrossing", "Hashing")
"""Lookup layers. Some read local files when they are built."""

GEOMETRIC = ("Resizing", "CenterCrop", "Identity", "GetItem", "Cast")
"""Layers, beside Random..., that keep the range of pixels."""

_MOST_PER_PIXEL = 1 / 32
"""A layer with a factor up to this takes pixels from 0 to 255."""

_LEAST_MEAN = 2.0
"""A normalisation that subtracts at least this takes pixels from 0 to 255."""


_BUILD_IT = "name a function that builds it, --backbone package.module:function"


class Unsupported(Exception):
    """A model cannot be a backbone; the text completes "NAME ..."."""


@dataclass(frozen=True)
class KerasConfig:
    """Description of a model, read from its configuration.

    size: (height, width) of its images, None where both are free. scales: whether it scales pixels of 0 to
    255 itself. classifies: the name of its last layer where that gives probabilities, else "". before: the
    layer that this one takes, "" where it is inside another model.
    """

    size: tuple[int, int] | None
    scales: bool
    classifies: str = ""
    before: str = ""


def read_config(config: Any, allow_code: bool) -> KerasConfig:
    """Return a model's description from the JSON data of `config.json`.

    Raises Unsupported for a model that runs code (Lambda layers pass with allow_code), whose classes are not
    Keras's, that takes no images, or has several inputs or outputs.
    """
    try:
        return _read(config, allow_code)
    except (KeyError, IndexError, TypeError, ValueError, AttributeError, RecursionError):
        raise Unsupported("has a configuration that is not a Keras model's") from None


def _read(config: Any, allow_code: bool) -> KerasConfig:
    _check_classes(config, allow_code)
    kind, inside = config["class_name"], config["config"]
    if kind not in ("Functional", "Sequential", "Model"):
        raise Unsupported(f"is a {_short(kind)}, not a functional or sequential model: {_BUILD_IT}")
    inputs = _inputs(config)
    if len(inputs) != 1:
        raise Unsupported(f"has {len(inputs)} inputs ({_names(inputs)}); a backbone takes one image")
    outputs = _leaves(inside["output_layers"]) if "output_layers" in inside else ["the last layer"]
    if len(outputs) != 1:
        raise Unsupported(f"has {len(outputs)} outputs ({_names(outputs)}); a backbone has one, its features")
    size, whole = _image_size(inputs)
    return KerasConfig(size, whole or _scales(config) is True, *_classifies(config))


def _check_classes(config: Any, allow_code: bool) -> None:
    for module, name in objects_in(config):
        if name in CODE:
            if name in ("Lambda", "__lambda__") and allow_code:
                continue
            if name in ("Lambda", "__lambda__"):
                raise Unsupported(
                    "has a Lambda layer, which is code: --allow-code runs it, if you trust the file"
                )
            raise Unsupported(f"has a layer {name}, which runs code from other files")
        if name in TEXT_LAYERS:
            raise Unsupported(f"has a layer {name}: it is for text and names, not for images")
        if module.split(".")[0] not in SAFE_MODULES:
            raise Unsupported(
                f"has the class {_short(f'{module}.{name}')}, which is not Keras's: {_BUILD_IT}"
            )


def objects_in(value: Any) -> Iterator[tuple[str, str]]:
    """Yield module and class of every serialised object; a custom object has the module `custom`."""
    if isinstance(value, Mapping):
        name = value.get("class_name")
        if isinstance(name, str) and "config" in value:
            module, registered = value.get("module"), value.get("registered_name")
            # keras-hub registers its classes as custom objects.
            hub = str(module).startswith("keras_hub.") and registered == f"keras_hub>{name}"
            if isinstance(registered, str) and ">" in registered and not hub:
                yield "custom", registered
            elif isinstance(module, str):
                yield module, name
            else:
                yield ("builtins" if name.startswith("__") else "custom"), name
        for item in value.values():
            yield from objects_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from objects_in(item)


def _inputs(config: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the configurations of the input layers: name, shape with the batch, dtype."""
    inside = config["config"]
    if config["class_name"] == "Sequential":
        first = inside["layers"][0]
        shape = _shape_of(first) or inside.get("build_input_shape")
        if shape is None and "layers" in first["config"]:
            return _inputs(first)
        if shape is None:
            raise Unsupported("was saved before it was built: call it on an image, then save it again")
        return [{"name": first["config"]["name"], "shape": shape, "dtype": first["config"].get("dtype")}]
    layers = {layer["name"]: layer for layer in inside["layers"]}
    return [
        {"name": name, "shape": _shape_of(layers[name]), "dtype": layers[name]["config"].get("dtype")}
        for name in _leaves(inside["input_layers"])
    ]


def _shape_of(layer: Mapping[str, Any]) -> list[int | None] | None:
    inside = layer["config"]
    shape = inside.get("batch_shape") or inside.get("batch_input_shape")
    return list(shape) if isinstance(shape, list) else None


def _leaves(value: Any) -> list[str]:
    """Return the names in a structure of [name, node, tensor] triples."""
    if isinstance(value, Mapping):
        return [name for item in value.values() for name in _leaves(item)]
    if len(value) == 3 and isinstance(value[0], str) and isinstance(value[1], int):
        return [value[0]]
    return [name for item in value for name in _leaves(item)]


def _short(name: str) -> str:
    return ascii(name)[:80]


def _names(found: Sequence[Any]) -> str:
    names = [one["name"] if isinstance(one, Mapping) else one for one in found]
    return ", ".join(str(name)[:40] for name in names[:5])


def _image_size(inputs: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, int] | None, bool]:
    """Return the size of the images, None for a free one, and whether whole numbers are taken."""
    shape, dtype = inputs[0]["shape"], inputs[0]["dtype"]
    if isinstance(dtype, Mapping):
        dtype = dtype["config"]["name"]
    if dtype == "string":
        raise Unsupported("takes text; a backbone takes images")
    if shape is None or len(shape) != 4:
        raise Unsupported(f"takes arrays of shape {_shown(shape)}; a backbone takes images, (None, h, w, 3)")
    batch, height, width, channels = shape
    if batch is not None:
        raise Unsupported(f"takes exactly {batch} images at a time: save it with a free batch size")
    if channels not in (3, None):
        first = " (channels come last)" if height == 3 else ""
        raise Unsupported(f"takes images of {channels} channels; they have 3{first}")
    if (height is None) != (width is None):
        raise Unsupported(
            f"takes images of {_shown(shape[1:3])}: save it with both sides fixed, or both free"
        )
    whole = str(dtype).startswith(("uint", "int"))
    return (None if height is None else (int(height), int(width))), whole


def _shown(shape: Sequence[Any] | None) -> str:
    return "unknown" if shape is None else "(" + ", ".join(map(str, shape)) + ")"


def _scales(config: Mapping[str, Any]) -> bool | None:
    """Return whether a model, or a layer, scales pixels of 0 to 255; None where it passes them on."""
    inside, name = config["config"], config["class_name"]
    if name == "Rescaling":
        return 0 < _largest(inside["scale"]) <= _MOST_PER_PIXEL
    if name == "Normalization":
        return inside.get("mean") is not None and _largest(inside["mean"]) >= _LEAST_MEAN
    if name in ("TrueDivide", "Divide", "Multiply"):
        numbers = [_largest(item) for item in _constants(config)]
        if name == "Multiply":
            return bool(numbers) and 0 < numbers[0] <= _MOST_PER_PIXEL
        return bool(numbers) and numbers[0] >= 1 / _MOST_PER_PIXEL
    if name == "InputLayer" or name.startswith("Random") or name in GEOMETRIC:
        return None
    if name == "Sequential":
        return next((found for layer in inside["layers"] if (found := _scales(layer)) is not None), None)
    if name in ("Functional", "Model"):
        at = _leaves(inside["input_layers"])
        for _ in inside["layers"]:
            after = [layer for layer in inside["layers"] if set(_sources(layer["inbound_nodes"])) & set(at)]
            if not after:
                return None
            answers = {_scales(layer) for layer in after}
            if answers != {None}:
                return answers == {True}
            at = [layer["name"] for layer in after]
        return None
    return False


def _sources(nodes: Any) -> Iterator[str]:
    """Yield the names of the layers whose outputs a layer takes."""
    if isinstance(nodes, Mapping):
        if "keras_history" in nodes:
            yield nodes["keras_history"][0]
        for item in nodes.values():
            yield from _sources(item)
    elif isinstance(nodes, list):
        for item in nodes:
            yield from _sources(item)


def _constants(layer: Mapping[str, Any]) -> list[Any]:
    """Return the numbers, and lists of numbers, that an operation takes beside a tensor."""
    found = []
    for node in layer["inbound_nodes"]:
        for item in (*node["args"], *node["kwargs"].values()):
            if isinstance(item, (int, float)) and not isinstance(item, bool):
                found.append(item)
    return found


def _largest(value: Any) -> float:
    """Return the largest magnitude of a number or of nested lists; a serialised array counts as 0."""
    if isinstance(value, (list, tuple)):
        return max((_largest(item) for item in value), default=0.0)
    return abs(float(value)) if isinstance(value, (int, float)) else 0.0


def _classifies(config: Mapping[str, Any]) -> tuple[str, str]:
    """Return the names of the last layer and of the one before it where the last gives probabilities."""
    layers = config["config"]["layers"]
    if "output_layers" in config["config"]:
        [end] = _leaves(config["config"]["output_layers"])
        last = next(layer for layer in layers if layer["name"] == end)
        before = next(_sources(last["inbound_nodes"]), "")
    else:
        last, before = layers[-1], layers[-2]["config"]["name"] if len(layers) > 1 else ""
    inside = last["config"]
    if "layers" in inside:
        return _classifies(last)[0], ""
    activation = inside.get("activation")
    if isinstance(activation, Mapping):
        activation = activation.get("config")
    if last["class_name"] != "Softmax" and activation not in ("softmax", "sigmoid"):
        return "", ""
    return str(inside["name"]), str(before)
