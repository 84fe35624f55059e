"""Deterministic TensorFlow: the same bits each time an operation runs on this machine."""

from __future__ import annotations

from bench.core.environment import XLA, quiet


def make_deterministic() -> None:
    """Make every TensorFlow operation deterministic, and set Keras's types and seed.

    GPU memory grows as needed, and TensorFloat-32, which rounds float32's 23 bits to 10, is off.
    """
    quiet()
    import keras
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        if not tf.config.experimental.get_memory_growth(gpu):
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(False)
    tf.config.experimental.enable_op_determinism()
    tf.config.optimizer.set_jit(XLA != "off")
    # Overrides a configuration file in the user's home.
    keras.config.set_floatx("float32")
    keras.config.set_dtype_policy("float32")
    keras.utils.set_random_seed(0)
