"""Builders of nets: keras.applications, keras-cv, LeNet, plug-ins and external models."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from bench.backbones.external_models import from_file, from_function, from_preset
from bench.backbones.info import BackboneInfo


def from_keras(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    """Return a net of keras.applications with global average pooling."""
    import keras

    from bench.backbones import weights

    build = getattr(keras.applications, info.builder)
    with weights.keras_files(info.name):
        return build(
            include_top=False,
            weights="imagenet" if imagenet else None,
            input_shape=shape,
            pooling="avg",
            **info.arguments,
        )


def from_keras_cv(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    """Return a net of keras-cv with global average pooling."""
    import keras
    import keras_cv

    from bench.backbones import weights

    net = getattr(keras_cv.models, info.builder)(input_shape=shape, **info.arguments)
    if imagenet:
        weights.load_kaggle(net, info)
    pooled = keras.layers.GlobalAveragePooling2D(name="average")(net.output)
    return keras.Model(net.input, pooled, name=info.name)


def lenet(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    """Return LeNet-5 up to its last hidden layer; it has no ImageNet weights."""
    import keras
    from keras import layers

    return keras.Sequential(
        [
            keras.Input(shape),
            # Explicit names: Keras numbers layers across nets, and `train_from` names one.
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


def from_plugin(info: BackboneInfo, shape: tuple[int, int, int], imagenet: bool) -> Any:
    """Return the net that a plug-in's function builds."""
    module, _, name = info.builder.partition(":")
    return getattr(import_module(module), name)(info, shape, imagenet)


BUILDERS: dict[str, Callable[[BackboneInfo, tuple[int, int, int], bool], Any]] = {
    "keras": from_keras,
    "keras_cv": from_keras_cv,
    "bench": lenet,
    "plugin": from_plugin,
    "keras_file": from_file,
    "module": from_function,
    "preset": from_preset,
}
"""Builder of a net by its `source`: (info, (height, width, 3), whether to load ImageNet weights)."""
