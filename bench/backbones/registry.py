"""Registry of backbones: look-up by name, reasons against use, construction, preprocessing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.backbones import handmade_table, keras_cv_table, keras_table, titles_table
from bench.backbones.info import (
    JOIN,
    NO_WEIGHTS,
    PREPROCESS,
    BackboneInfo,
    Reading,
)
from bench.backbones.outside import is_outside
from bench.backbones.precision import FLOAT32, built_in, single_outputs
from bench.core import plugins
from bench.core.cell import Value
from bench.core.errors import BenchError, WeightsError, unknown

LENET = BackboneInfo(
    name="lenet",
    family="lenet",
    summary="LeNet-5 (LeCun 1998) with ReLU and max pooling, for training from scratch",
    source="bench",
    builder="lenet",
    input_size=(32, 32),
    min_size=16,
    preprocess="tf",
    features=84,
    parameters=61156,
    weights=("random",),
    regime="scratch",
)

BACKBONES: dict[str, BackboneInfo] = {
    info.name: info
    for info in (
        LENET,
        *keras_table.NETS,
        *keras_cv_table.NETS,
        *handmade_table.HANDMADE,
        *titles_table.TITLES,
    )
}


def register(info: BackboneInfo) -> BackboneInfo:
    """Add a backbone to the table. Raises ValueError if its name is taken."""
    plugins.register("backbone", BACKBONES, info.name, info)
    return info


def get_backbone(name: str) -> BackboneInfo:
    """Return a backbone. Raises BenchError for a name that is not registered, naming the nearest one."""
    if not plugins.find(BACKBONES, name):
        raise unknown("backbone", name, BACKBONES, "bench list backbones shows all")
    return BACKBONES[name]


def weights_of(parts: Sequence[BackboneInfo], weights: str) -> tuple[str, ...]:
    """Return the weights of each part, given the user's text.

    One text is for every net; "imagenet+random" names those of each part, in their order. A part that is not
    a net, or is from outside, has its own in any case.
    """
    given = weights.split(JOIN)
    if len(given) != len(parts) or Path(weights).is_file():
        given = [weights] * len(parts)
    return tuple(
        own if info.is_net and info.origin is None else info.weights[0]
        for info, own in zip(parts, given, strict=True)
    )


def weights_ids(parts: Sequence[BackboneInfo], weights: str) -> str:
    """Return the identity of the weights of all parts, see `weights_id`, joined like the parts."""
    owns = zip(parts, weights_of(parts, weights), strict=True)
    return JOIN.join(weights_id(info, own) for info, own in owns)


def reading_of(info: BackboneInfo, setting: Mapping[str, Value]) -> Reading:
    """Return a protocol's reading of one part. Only `mirror` applies to a backbone that is not a net.

    A layer is for every net, or, written "backbone:layer", for that one. Raises BenchError for a backbone
    that is not registered and for a layer that is named twice.
    """
    layers: list[str] = []
    for entry in str(setting["layers"]).split(","):
        owner, colon, layer = entry.rpartition(":")
        if colon and owner != info.name and not is_outside(owner):
            get_backbone(owner)
        if layer and owner in ("", info.name):
            layers.append(layer)
    if len(set(layers)) != len(layers):
        raise BenchError(f"--set layers={setting['layers']}: a layer of {info.name} is named twice")
    mirror = bool(setting["mirror"])
    if not info.is_net:
        return Reading(mirror=mirror)
    return Reading(tuple(layers), str(setting["pool"]), bool(setting["unit_fields"]), mirror)


def width_of(parts: Sequence[BackboneInfo], setting: Mapping[str, Value]) -> int | None:
    """Return the number of features of frozen parts side by side; None if the registry lacks it."""
    if any(
        info.reads != "pixels" or not info.features or not reading_of(info, setting).plain for info in parts
    ):
        return None
    return sum(info.features for info in parts)


def size_problem(info: BackboneInfo, size: tuple[int, int]) -> str | None:
    """Return why the net cannot take images of this (height, width), or None."""
    height, width = size
    if info.origin is not None and info.origin.one_size and size != info.input_size:
        own = "x".join(map(str, info.input_size))
        return f"{info.name} takes images of {own}, not {height}x{width}: leave out input_size"
    if min(size) < info.min_size:
        return f"{info.name} takes images of at least {info.min_size}x{info.min_size}, not {height}x{width}"
    if info.square and height != width:
        return f"{info.name} takes square images, not {height}x{width}"
    if height % info.multiple or width % info.multiple:
        return f"{info.name} takes sizes that are multiples of {info.multiple}, not {height}x{width}"
    return None


def weights_id(info: BackboneInfo, weights: str) -> str:
    """Return the identity of the weights: `imagenet`, `random`, NO_WEIGHTS, or `sha256:<hex>` of a file.

    A backbone from outside has the digest of its file, or of its source.

    Raises WeightsError for weights the net does not have and for a file that cannot be read.
    """
    if info.origin is not None:
        return f"sha256:{info.origin.digest}"
    if weights in ("imagenet", "random", NO_WEIGHTS):
        if weights not in info.weights:
            raise WeightsError(f"{info.name} has no {weights} weights: use one of {', '.join(info.weights)}")
        return weights
    from bench.backbones.weights import file_hash

    return f"sha256:{file_hash(Path(weights))}"


def preprocess_mode(info: BackboneInfo, override: str = "backbone") -> str:
    """Return the mode of PREPROCESS that is meant. Raises BenchError for an unknown one."""
    if override != "backbone" and override not in PREPROCESS:
        raise unknown("preprocess", override, ("backbone", *PREPROCESS))
    return info.preprocess if override == "backbone" else override


def preprocess(info: BackboneInfo, override: str = "backbone") -> Callable[[Any], Any]:
    """Return the function that turns a batch of pixels 0..255 into what is fed to the net, as float32.

    It works on arrays and inside a graph. `backbone` is the net's own scaling: what its module's
    `preprocess_input` does (`none` for nets that scale their input themselves). Any other mode of
    PREPROCESS replaces it; the seed solutions fed `unit` to nets trained otherwise.
    """
    mode = preprocess_mode(info, override)

    def apply(batch: Any) -> Any:
        import keras

        pixels = keras.ops.cast(batch, "float32")
        if mode == "none":
            return pixels
        if mode == "unit":
            return pixels / 255.0
        return keras.applications.imagenet_utils.preprocess_input(
            pixels, data_format="channels_last", mode=mode
        )

    return apply


def build_backbone(
    info: BackboneInfo,
    size: tuple[int, int],
    weights: str = "random",
    seed: int = 0,
    precision: str = FLOAT32,
) -> Any:
    """Build the net without its head: a keras.Model from (n, h, w, 3) to (n, features), both float32.

    The features are the last feature map, averaged over positions (lenet: the last hidden layer).
    weights: `imagenet`, `random` (drawn from `seed`) or the path of a weights file. precision: what it
    computes in between, see `bench.backbones.precision.built_in`.
    Raises BenchError for an illegal size and WeightsError (one line) for unavailable weights: random weights
    never replace them.
    """
    from bench.backbones import build as makers
    from bench.backbones import weights as pretrained

    if problem := size_problem(info, size):
        raise BenchError(problem)
    weights_id(info, weights)
    import keras

    keras.config.set_image_data_format("channels_last")
    keras.utils.set_random_seed(seed)
    build = makers.MAKERS[info.source]
    with warnings.catch_warnings(), built_in(precision):
        warnings.simplefilter("ignore")
        net = build(info, (*size, 3), weights == "imagenet")
        if info.origin is None and weights not in ("imagenet", "random"):
            pretrained.load_file(net, Path(weights), info.name)
        return single_outputs(net)


def freeze_before(net: Any, layer: str) -> None:
    """Freeze every layer before the named one, batch statistics included; "" freezes none.

    Raises BenchError for a layer that the net does not have, naming the nearest one.
    """
    if not layer:
        return
    names = [one.name for one in net.layers]
    if layer not in names:
        raise unknown("layer", layer, names, f"layers of {net.name}, for --set train_from")
    for one in net.layers[: names.index(layer)]:
        one.trainable = False


def keep_norms(net: Any) -> None:
    """Freeze every batch normalisation, statistics included, while the other layers train.

    After few batches its moving averages still mix in the pretrained ones, so that inference would use other
    statistics than training.
    """
    import keras

    for layer in net._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def freeze(net: Any, setting: Mapping[str, Value]) -> None:
    """Freeze the layers that a protocol names. Raises what `freeze_before` raises."""
    freeze_before(net, str(setting["train_from"]))
    if setting["norms"] == "keep":
        keep_norms(net)
