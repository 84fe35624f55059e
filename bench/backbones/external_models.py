"""External Keras models, loaded and adapted to backbones."""

from __future__ import annotations

import importlib
import inspect
import sys
from pathlib import Path
from typing import Any

from bench.backbones.info import BackboneInfo, Origin
from bench.backbones.weights import check_claims
from bench.core.errors import BenchError

Shape = tuple[int, int, int]


def from_file(info: BackboneInfo, shape: Shape, imagenet: bool) -> Any:
    """Return the model of a `.keras` file as a backbone; code in the file runs only if its origin allows it.

    Raises BenchError for a file that Keras cannot load, or whose model cannot be a backbone.
    """
    import keras

    origin = _origin(info)
    path = Path(origin.place)
    try:
        check_claims(path)
        model = keras.saving.load_model(path, compile=False, safe_mode=not origin.allow_code)
    except Exception as error:
        raise BenchError(f"{info.name}: Keras cannot load it ({_one_line(error)})") from None
    return as_backbone(model, info, shape)


def from_function(info: BackboneInfo, shape: Shape, imagenet: bool) -> Any:
    """Return the model that `package.module:function` builds as a backbone.

    Raises BenchError for a module that cannot be imported or is not the one whose source was hashed, a
    function that fails, and a model that cannot be a backbone.
    """
    from bench.backbones.external import FUNCTION, find_module

    origin = _origin(info)
    match = FUNCTION.fullmatch(origin.place)
    assert match is not None
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)
    try:
        module = importlib.import_module(match[1])
    except (Exception, SystemExit) as error:
        raise BenchError(f"{info.name}: {match[1]} cannot be imported ({_one_line(error)})") from None
    source, expected = inspect.getsourcefile(module), find_module(match[1], [here, *sys.path])
    if source is None or expected is None or not Path(source).samefile(expected):
        raise BenchError(
            f"{info.name}: Python imports {match[1]} from {source}, not from {expected}: rename it"
        )
    build = getattr(module, match[2], None)
    if not callable(build):
        raise BenchError(f"{info.name}: {match[1]} has no function {match[2]}")
    try:
        model = build()
    except (Exception, SystemExit) as error:
        raise BenchError(f"{info.name}: it fails without arguments ({_one_line(error)})") from None
    return as_backbone(model, info, shape)


def from_preset(info: BackboneInfo, shape: Shape, imagenet: bool) -> Any:
    """Return the image encoder of a keras-hub preset as a backbone that scales pixels of 0 to 255 itself.

    Of several output tokens, the features are the class token, or without one their mean. No code in the
    preset's files runs. Raises BenchError for a preset that has changed or that keras-hub cannot load.
    """
    import keras

    from bench.backbones.presets import read_preset, weights_files

    origin = _origin(info)
    preset = read_preset(origin.place)
    if preset.digest != origin.digest:
        raise BenchError(f"{info.name}: its files have changed since the run was planned")
    try:
        import keras_hub

        for path in weights_files(preset.folder, origin.place):
            if path.name.endswith(".h5"):
                check_claims(path)
        sized = {"image_shape": shape} if preset.interpolates else {}
        model = keras_hub.models.Backbone.from_preset(str(preset.folder.absolute()), dtype="float32", **sized)
        images = keras.Input(shape, name="pixels")
        x: Any = images
        if preset.scale is not None:
            x = keras.layers.Rescaling(preset.scale, preset.offset, name="scaling")(x)
        if preset.dual_encoder:
            out = model.get_vision_embeddings(x)
        else:
            out = model(dict.fromkeys(model.input, x) if isinstance(model.input, dict) else x)
        if not isinstance(out, dict) and len(out.shape) == 3:
            out = out[:, 0] if preset.token else keras.layers.GlobalAveragePooling1D(name="mean_token")(out)
        net = keras.Model(images, out)
    except Exception as error:
        raise BenchError(f"{info.name}: keras-hub cannot load it ({_one_line(error)})") from None
    return as_backbone(net, info, shape)


def as_backbone(model: Any, info: BackboneInfo, shape: Shape) -> Any:
    """Return a model from (n, *shape) images to (n, features); a feature map is averaged.

    All its layers become trainable: the regime decides what is trained. Raises BenchError for anything but a
    Keras model from one image to one map or row of features.
    """
    import keras

    if not isinstance(model, keras.Model):
        raise BenchError(f"{info.name} gives a {type(model).__name__}, not a keras.Model")
    for layer in model._flatten_layers():
        layer.trainable = True
    try:
        net = _functional(model, shape)
    except BenchError as error:
        raise BenchError(f"{info.name} {error}") from None
    except Exception as error:
        raise BenchError(
            f"{info.name} takes no images of {shape[0]}x{shape[1]} ({_one_line(error)})"
        ) from None
    output = net.outputs[0]
    if len(output.shape) == 4:
        output = keras.layers.GlobalAveragePooling2D(name="average_of_map")(output)
    if len(output.shape) != 2 or output.shape[-1] is None:
        raise BenchError(
            f"{info.name} gives arrays of shape {tuple(output.shape)}, not a row (None, d) or a map "
            "(None, h, w, d) of features: read another layer, --set layers=NAME"
        )
    return keras.Model(net.inputs[0], output, name=info.name.replace(":", "."))


def _functional(model: Any, shape: Shape) -> Any:
    """Return a model with symbolic inputs and outputs. Raises BenchError, completing "NAME ..."."""
    import keras

    if not getattr(model, "inputs", None):
        # A subclassed model: its layers are not visible.
        images = keras.Input(shape)
        outputs = model(images)
        if isinstance(outputs, (list, tuple, dict)):
            raise BenchError(f"has {len(outputs)} outputs; a backbone has one, its features")
        return keras.Model(images, outputs)
    for what, found in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(found) != 1:
            raise BenchError(f"has {len(found)} {what}; a backbone has one")
    taken = tuple(model.inputs[0].shape)
    fits = len(taken) == 4 and all(own in (None, side) for own, side in zip(taken[1:], shape, strict=True))
    if not fits or taken[0] is not None:
        raise BenchError(f"takes arrays of shape {taken}, not images (None, {shape[0]}, {shape[1]}, 3)")
    return model


def _origin(info: BackboneInfo) -> Origin:
    assert info.origin is not None
    return info.origin


def _one_line(error: BaseException) -> str:
    # Keras quotes whole configurations before the cause.
    _, _, cause = str(error).rpartition("Exception encountered: ")
    text = " ".join(f"{type(error).__name__}: {cause}".split())
    return text if len(text) <= 300 else f"{text[:300]}..."
