"""Registry of backbones: look-up by name, reasons against use, construction, preprocessing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.backbones import handcrafted_table, keras_cv_table, keras_table, titles_table
from bench.backbones.external import is_external
from bench.backbones.info import (
    JOIN,
    NO_WEIGHTS,
    PREPROCESS,
    BackboneInfo,
    FeatureSpec,
)
from bench.backbones.precision import FLOAT32, dtype_policy, float32_outputs
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
        *handcrafted_table.HANDCRAFTED,
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
    """Return the weights of each part.

    weights: one text for every net, or one for each part: "imagenet+random". A part that is external or not
    a net ignores it.
    """
    texts = weights.split(JOIN)
    if len(texts) != len(parts) or Path(weights).is_file():
        texts = [weights] * len(parts)
    return tuple(
        text if info.is_net and info.origin is None else info.weights[0]
        for info, text in zip(parts, texts, strict=True)
    )


def weights_ids(parts: Sequence[BackboneInfo], weights: str) -> str:
    """Return the identity of the weights of all parts, see `weights_id`, joined like the parts."""
    texts = weights_of(parts, weights)
    return JOIN.join(weights_id(info, text) for info, text in zip(parts, texts, strict=True))


def feature_spec(info: BackboneInfo, setting: Mapping[str, Value]) -> FeatureSpec:
    """Return the features that a protocol asks of one part. Without a net, only `mirror` applies.

    A layer is of every net, or "backbone:layer" of one. Raises BenchError for an unknown backbone and a layer
    that is named twice.
    """
    layers: list[str] = []
    for entry in str(setting["layers"]).split(","):
        owner, colon, layer = entry.rpartition(":")
        if colon and owner != info.name and not is_external(owner):
            get_backbone(owner)
        if layer and owner in ("", info.name):
            layers.append(layer)
    if len(set(layers)) != len(layers):
        raise BenchError(f"--set layers={setting['layers']}: a layer of {info.name} is named twice")
    mirror = bool(setting["mirror"])
    if not info.is_net:
        return FeatureSpec(mirror=mirror)
    return FeatureSpec(tuple(layers), str(setting["pool"]), bool(setting["unit_fields"]), mirror)


def width_of(parts: Sequence[BackboneInfo], setting: Mapping[str, Value]) -> int | None:
    """Return the number of features of frozen parts, concatenated; None if unknown."""
    if any(
        info.reads != "pixels" or not info.features or not feature_spec(info, setting).plain for info in parts
    ):
        return None
    return sum(info.features for info in parts)


def size_problem(info: BackboneInfo, size: tuple[int, int]) -> str | None:
    """Return why the net cannot take images of this (height, width), or None."""
    height, width = size
    if info.origin is not None and info.origin.one_size and size != info.input_size:
        size_taken = "x".join(map(str, info.input_size))
        return f"{info.name} takes images of {size_taken}, not {height}x{width}: leave out input_size"
    if min(size) < info.min_size:
        return f"{info.name} takes images of at least {info.min_size}x{info.min_size}, not {height}x{width}"
    if info.square and height != width:
        return f"{info.name} takes square images, not {height}x{width}"
    if height % info.multiple or width % info.multiple:
        return f"{info.name} takes sizes that are multiples of {info.multiple}, not {height}x{width}"
    return None


def weights_id(info: BackboneInfo, weights: str) -> str:
    """Return the identity of the weights: `imagenet`, `random`, NO_WEIGHTS, or `sha256:<hex>` of a file.

    An external backbone has the digest of its file or source. Raises WeightsError for weights that the net
    does not have and for a file that cannot be read.
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
    """Return the mode of PREPROCESS. Raises BenchError for an unknown override."""
    if override != "backbone" and override not in PREPROCESS:
        raise unknown("preprocess", override, ("backbone", *PREPROCESS))
    return info.preprocess if override == "backbone" else override


def preprocess(info: BackboneInfo, override: str = "backbone") -> Callable[[Any], Any]:
    """Return the function from a batch of pixels 0..255 to the net's float32 input, eager or in a graph.

    override: a mode of PREPROCESS; `backbone` is the `preprocess_input` of the net's module (`none` for nets
    that scale their input).
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
    weights: `imagenet`, `random` (drawn from `seed`) or the path of a weights file. precision: see
    `bench.backbones.precision.dtype_policy`. Raises BenchError for an illegal size and WeightsError for
    unavailable weights; random weights never replace them.
    """
    from bench.backbones import build as builders
    from bench.backbones import weights as pretrained

    if problem := size_problem(info, size):
        raise BenchError(problem)
    weights_id(info, weights)
    import keras

    keras.config.set_image_data_format("channels_last")
    keras.utils.set_random_seed(seed)
    build = builders.BUILDERS[info.source]
    with warnings.catch_warnings(), dtype_policy(precision):
        warnings.simplefilter("ignore")
        net = build(info, (*size, 3), weights == "imagenet")
        if info.origin is None and weights not in ("imagenet", "random"):
            pretrained.load_file(net, Path(weights), info.name)
        return float32_outputs(net)


def freeze_before(net: Any, layer: str) -> None:
    """Freeze every layer before the named one, batch statistics included; "" freezes none.

    Raises BenchError for an unknown layer, naming the nearest.
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

    After few batches, moving averages are still close to the pretrained ones: inference would use other
    statistics than training.
    """
    import keras

    for layer in net._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def freeze(net: Any, setting: Mapping[str, Value]) -> None:
    """Freeze the layers that a protocol names. Raises the errors of `freeze_before`."""
    freeze_before(net, str(setting["train_from"]))
    if setting["norms"] == "keep":
        keep_norms(net)
