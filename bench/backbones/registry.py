"""Registry of backbones: look-up by name, reasons against use, construction, preprocessing."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.backbones import handmade_table, keras_cv_table, keras_table, titles_table
from bench.backbones.engine_choice import engine_problem
from bench.backbones.info import (
    ANY_SIZE,
    JOIN,
    NO_WEIGHTS,
    PREPROCESS,
    UNSAID,
    BackboneInfo,
    Origin,
    Reading,
)
from bench.backbones.outside import is_outside
from bench.backbones.precision import FLOAT32, built_in, single_outputs
from bench.core import plugins
from bench.core.cell import Value
from bench.core.errors import BenchError, WeightsError, unknown
from bench.core.protocol import KEYS, image_size

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

OF_IMAGES = ("input_size", "crop", "mirror", "preprocess", "engine", "layers", "pool", "unit_fields")
"""Protocol keys without meaning where no image is read."""


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
