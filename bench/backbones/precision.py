"""Precision of nets: Keras's dtype policies."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

FLOAT32, FLOAT16 = "float32", "mixed_float16"


@contextmanager
def dtype_policy(precision: str) -> Iterator[None]:
    """Set the dtype policy of layers built in this block: `float32`, `mixed_bfloat16` or `mixed_float16`.

    The mixed ones compute in half precision with float32 weights. Layers built afterwards, such as a head,
    are float32 again.
    """
    import keras

    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(FLOAT32)


def float32_outputs(net: Any) -> Any:
    """Return the net with float32 outputs; its layers keep their names."""
    import keras

    if net.compute_dtype == FLOAT32:
        return net
    single = keras.layers.Activation("linear", dtype=FLOAT32, name="single_precision")
    return keras.Model(net.inputs[0], single(net.outputs[0]), name=net.name)


def loss_scale(precision: str) -> float:
    """Return the loss scale of a precision, against gradients that underflow in float16.

    It is constant, not dynamic as in Keras's LossScaleOptimizer, because parts of a net may have separate
    optimizers.
    """
    return 1024.0 if precision == FLOAT16 else 1.0
