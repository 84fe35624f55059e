"""The registry of backbones: find one by name, say why it cannot be used, build it, scale its input."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.errors import BenchError, WeightsError, unknown
from bench.models import keras_cv_table, keras_table
from bench.models.backbone_info import PREPROCESS, BackboneInfo
from bench.protocol import image_size
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
    info.name: info for info in (LENET, *keras_table.NETS, *keras_cv_table.NETS)
}


def get_backbone(name: str) -> BackboneInfo:
    """Return a backbone. Raises BenchError for a name that is not registered, naming the nearest one."""
    if name not in BACKBONES:
        raise unknown("backbone", name, BACKBONES, "bench list backbones shows all")
    return BACKBONES[name]


def problem_of(info: BackboneInfo, regime: str, weights: str, setting: Mapping[str, Value]) -> str | None:
    """Return why this backbone cannot be used so, or None. setting: the protocol. Imports nothing heavy."""
    if regime == "scratch" and weights != "random":
        return (
            f"regime scratch starts from random weights, not {weights}: --weights random or --regime frozen"
        )
    if regime == "finetune" and weights == "random":
        return (
            "regime finetune goes on from trained weights: --weights imagenet or a file, or --regime scratch"
        )
    if weights == "imagenet" and "imagenet" not in info.weights:
        return f"{info.name} has no published ImageNet weights: use --weights random or a file"
    if regime == "frozen" and setting["engine"] == "openvino" and find_spec("openvino") is None:
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
    """Return what identifies the weights: `imagenet`, `random`, or `sha256:<hex>` of a file.

    Raises WeightsError for weights the net does not have and for a file that cannot be read.
    """
    if weights in ("imagenet", "random"):
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
    from bench.models import pretrained

    if problem := size_problem(info, size):
        raise BenchError(problem)
    weights_id(info, weights)
    import keras

    keras.config.set_image_data_format("channels_last")
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(seed)
    build = {"keras": _from_keras, "keras_cv": _from_keras_cv, "bench": _lenet}[info.source]
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


def _from_keras(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    import keras

    from bench.models import pretrained

    build = getattr(keras.applications, info.builder)
    with pretrained.keras_files(info.name):
        return build(
            include_top=False,
            weights="imagenet" if imagenet else None,
            input_shape=shape,
            pooling="avg",
            **info.arguments,
        )


def _from_keras_cv(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    import keras
    import keras_cv

    from bench.models import pretrained

    net = getattr(keras_cv.models, info.builder)(input_shape=shape, **info.arguments)
    if imagenet:
        pretrained.load_kaggle(net, info)
    pooled = keras.layers.GlobalAveragePooling2D(name="average")(net.output)
    return keras.Model(net.input, pooled, name=info.name)


def _lenet(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input(shape),
            # Named, as Keras would count on from net to net, and users name the layer to train from.
            layers.Conv2D(6, 5, activation="relu", name="conv_1"),
            layers.MaxPooling2D(name="pool_1"),
            layers.Conv2D(16, 5, activation="relu", name="conv_2"),
            layers.MaxPooling2D(name="pool_2"),
            layers.Flatten(name="flatten"),
            layers.Dense(120, activation="relu", name="dense_1"),
            layers.Dense(84, activation="relu", name="dense_2"),
        ],
        name=info.name,
    )
