"""Precision of nets: Keras's dtype policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FLOAT32, FLOAT16 = "float32", "mixed_float16"


@contextmanager
def built_in(precision: str) -> Iterator[None]:
    """Give the layers built in this block a dtype policy: `float32`, `mixed_bfloat16` or `mixed_float16`.

    The mixed ones compute in half precision and keep their weights in single precision. Layers built
    afterwards, such as a head on top, are of single precision again.
    """
    import keras

    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(FLOAT32)


def single_outputs(net: Any) -> Any:
    """Return a net that gives float32, whatever it computes in; its layers keep their names."""
    import keras

    if net.compute_dtype == FLOAT32:
        return net
    single = keras.layers.Activation("linear", dtype=FLOAT32, name="single_precision")
    return keras.Model(net.inputs[0], single(net.outputs[0]), name=net.name)


def loss_scale(precision: str) -> float:
    """Return what a loss is multiplied by, and its gradients divided by, for a net of this precision.

    Small gradients would be zero in float16. It is one number, and not Keras's that moves, so that it is the
    same for every part of a net that has an optimizer of its own.
    """
    return 1024.0 if precision == FLOAT16 else 1.0
