"""The registry of backbones: find them by name, say why they cannot be used, build one, scale its input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import BenchError, WeightsError, unknown
from bench.models import handmade_table, keras_cv_table, keras_table, titles_table
from bench.models.backbone_info import NO_WEIGHTS, PREPROCESS, BackboneInfo, Reading
from bench.protocol import KEYS, image_size
from bench.spec import Value

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
"""Protocol keys that mean nothing where no image is looked at."""

JOIN = "+"
"""What stands between the parts of a joined backbone, and between the weights of each."""


def get_backbone(name: str) -> BackboneInfo:
    """Return a backbone. Raises BenchError for a name that is not registered, naming the nearest one."""
    if name not in BACKBONES:
        raise unknown("backbone", name, BACKBONES, "bench list backbones shows all")
    return BACKBONES[name]


def parts_of(name: str) -> tuple[BackboneInfo, ...]:
    """Return the parts of a joined backbone, "a+b", in their order; a backbone alone is its only part.

    Raises BenchError for a part that is not registered (the nearest is named), is empty or is there twice.
    """
    names = [part.strip() for part in name.split(JOIN)]
    for place, part in enumerate(names):
        if not part:
            raise BenchError(f"backbone {name!r}: a part is empty; write for example mobilenet_025+hog")
        if part in names[:place]:
            raise BenchError(f"backbone {name!r}: {part} is there twice")
    return tuple(get_backbone(part) for part in names)


def weights_of(parts: Sequence[BackboneInfo], weights: str) -> tuple[str, ...]:
    """Return what each part is built with, of weights as the user wrote them.

    One text is for every net; "imagenet+random" names those of each part, in their order. What is no net has
    NO_WEIGHTS, whatever is asked of the nets beside it.
    """
    given = weights.split(JOIN)
    if len(given) != len(parts) or Path(weights).is_file():
        given = [weights] * len(parts)
    return tuple(own if info.is_net else NO_WEIGHTS for info, own in zip(parts, given, strict=True))


def weights_ids(parts: Sequence[BackboneInfo], weights: str) -> str:
    """Return what identifies the weights of all parts, see `weights_id`, joined as the parts are."""
    owns = zip(parts, weights_of(parts, weights), strict=True)
    return JOIN.join(weights_id(info, own) for info, own in owns)


def reading_of(info: BackboneInfo, setting: Mapping[str, Value]) -> Reading:
    """Return what a protocol has taken from one part. Of a backbone that is no net only `mirror` holds.

    A layer is for every net, or, written "backbone:layer", for that one. Raises BenchError for a backbone
    that is not registered and for a layer that is named twice.
    """
    layers: list[str] = []
    for entry in str(setting["layers"]).split(","):
        owner, colon, layer = entry.rpartition(":")
        if colon:
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
    """Return how many features frozen parts have side by side; None where only a built net or titles tell."""
    if any(info.reads != "pixels" or not reading_of(info, setting).plain for info in parts):
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
    if not images:
        idle = (key for key in OF_IMAGES if setting[key] != KEYS[key].default)
        if (key := next(idle, None)) is not None:
            return f"--set {key} is for images, at which {name} does not look"
    return None


def no_maps(parts: Sequence[BackboneInfo], setting: Mapping[str, Value]) -> str | None:
    """Return why a head of convolutions has no feature maps to stand on, or None."""
    if len(parts) > 1:
        return "joined backbones have no common feature map, which conv stands on"
    if not parts[0].is_net:
        return f"{parts[0].name} has no feature map, which conv stands on"
    changed = [
        key for key in ("layers", "pool", "unit_fields", "mirror") if setting[key] != KEYS[key].default
    ]
    return f"--set {changed[0]} is for pooled features; conv stands on the unpooled map" if changed else None


def problem_of(info: BackboneInfo, regime: str, weights: str, setting: Mapping[str, Value]) -> str | None:
    """Return why this backbone cannot be used so, or None. setting: the protocol. Imports nothing heavy."""
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
            "regime finetune goes on from trained weights: --weights imagenet or a file, or --regime scratch"
        )
    if weights == "imagenet" and "imagenet" not in info.weights:
        others = "a file" if regime == "finetune" else "random or a file"
        return f"{info.name} has no published ImageNet weights: use --weights {others}"
    engine = setting["engine"] if info.is_net else None
    if regime == "frozen" and engine == "openvino" and find_spec("openvino") is None:
        return NO_OPENVINO
    return size_problem(info, image_size(setting["input_size"], info.input_size))


NO_OPENVINO = "engine=openvino needs a package that is not installed: pip install 'messybench[openvino]'"


def size_problem(info: BackboneInfo, size: tuple[int, int]) -> str | None:
    """Return why the net cannot take images of this (height, width), or None."""
    height, width = size
    if min(size) < info.min_size:
        return f"{info.name} takes images of at least {info.min_size}x{info.min_size}, not {height}x{width}"
    if info.square and height != width:
        return f"{info.name} takes square images, not {height}x{width}"
    if height % info.multiple or width % info.multiple:
        return f"{info.name} takes sizes that are multiples of {info.multiple}, not {height}x{width}"
    return None


def weights_id(info: BackboneInfo, weights: str) -> str:
    """Return what identifies the weights: `imagenet`, `random`, NO_WEIGHTS, or `sha256:<hex>` of a file.

    Raises WeightsError for weights the net does not have and for a file that cannot be read.
    """
    if weights in ("imagenet", "random", NO_WEIGHTS):
        if weights not in info.weights:
            raise WeightsError(f"{info.name} has no {weights} weights: use one of {', '.join(info.weights)}")
        return weights
    from bench.models.pretrained import file_hash

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


def build_backbone(info: BackboneInfo, size: tuple[int, int], weights: str = "random", seed: int = 0) -> Any:
    """Build the net without its head: a keras.Model from (n, h, w, 3) float32 to (n, features).

    The features are the last feature map, averaged over positions (lenet: the last hidden layer).
    weights: `imagenet`, `random` (drawn from `seed`) or the path of a weights file.
    Raises BenchError for an illegal size and WeightsError (one line) for weights that cannot be had:
    nothing is ever replaced by random weights.
    """
    from bench.models import makers, pretrained

    if problem := size_problem(info, size):
        raise BenchError(problem)
    weights_id(info, weights)
    import keras

    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(seed)
    build = makers.MAKERS[info.source]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = build(info, (*size, 3), weights == "imagenet")
        if weights not in ("imagenet", "random"):
            pretrained.load_file(net, Path(weights), info.name)
    return net


def freeze_before(net: Any, layer: str) -> None:
    """Leave every layer before the named one as it is, batch statistics included; "" leaves none.

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
    """Leave every batch normalisation as it is, its statistics too, while what is around it trains.

    With few batches its averages are still half those of the weights when it is asked for answers, and
    answers are then given with other statistics than were trained with.
    """
    import keras

    for layer in net._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.trainable = False


def freeze(net: Any, setting: Mapping[str, Value]) -> None:
    """Leave those layers as they are that a protocol says. Raises what `freeze_before` raises."""
    freeze_before(net, str(setting["train_from"]))
    if setting["norms"] == "keep":
        keep_norms(net)
