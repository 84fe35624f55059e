"""Image augmentation by keras-cv layers, with separate random numbers for each image."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np

from bench.core.errors import BenchError, unknown

AUGMENT_VERSION = 1
"""Bumped when the augmented images of the same recipe change."""

DRAWS = 128
"""Random numbers reserved for each image."""

_STREAM = 4
"""Random stream of a fit, beside those of `bench.training.schedule` and `bench.training.mixing`."""

RECIPES: dict[str, tuple[str, ...]] = {
    "flip": ("flip",),
    "crop": ("crop",),
    "colour": ("colour",),
    "rotate": ("rotate",),
    "standard": ("flip", "crop", "colour"),
    "randaug": ("randaug",),
}
"""Operations of each recipe, in order."""

Tensor = Any


class Change(Protocol):
    """Augmentation of images; each depends only on its position, the view and the seed."""

    def __call__(
        self, images: np.ndarray, positions: np.ndarray, view: int, seed: int | None = None
    ) -> np.ndarray:
        """Return a view of (b, h, w, 3) uint8 images, of the same shape and type.

        positions: (b,) among all images; with a seed (of a fit), among its training rows, and `view` is the
        epoch.
        """
        ...


@dataclass(frozen=True)
class Recipe:
    """An augmentation recipe. name: of RECIPES. strength: above 0, at most 1.

    flip      mirror every second image; strength has no effect
    crop      random crop of 1 - strength to 1 of the area, resized to the full size
    colour    with s = 0.4 * strength: brightness by up to s of the range either way, contrast times
              1 - s to 1 + s, saturation times (1 - s) / (1 + s) to (1 + s) / (1 - s)
    rotate    by up to 30 * strength degrees either way
    standard  flip, crop and colour
    randaug   RandAugment (Cubuk et al. 2020, arXiv:1909.13719): 3 operations of magnitude strength / 2, at
              full strength the default of keras-cv

    No operation flips an image vertically; padding repeats the edge. shared: a view augments all images
    alike. Raises BenchError for another name or strength.
    """

    name: str
    strength: float = 0.5
    shared: bool = False

    def __post_init__(self) -> None:
        if self.name not in RECIPES:
            raise unknown("augmentation recipe", self.name, RECIPES, f"known: {', '.join(RECIPES)}")
        if not 0.0 < self.strength <= 1.0:
            raise BenchError(f"strength of {self.name} is above 0 and at most 1, not {self.strength:g}")

    @property
    def key(self) -> dict[str, str | float | int]:
        """The identity of its images, for cache keys."""
        strength = 0.0 if self.name == "flip" else float(self.strength)
        shared = {"shared": True} if self.shared else {}
        return {"version": AUGMENT_VERSION, "recipe": self.name, "strength": strength, **shared}


def draw(positions: np.ndarray, view: int, seed: int | None = None) -> np.ndarray:
    """Return the (b, DRAWS) float32 random numbers in [0, 1) of images.

    An image's numbers depend only on seed, view and its position, see `Change`.
    """
    import numpy as np

    stream = [0, view] if seed is None else [_STREAM, seed, view]
    numbers = np.empty((len(positions), DRAWS), np.float32)
    for row, position in zip(numbers, positions.tolist(), strict=True):
        np.random.default_rng([*stream, position]).random(out=row, dtype=np.float32)
    return numbers


def load_change(recipe: Recipe, size: tuple[int, int]) -> Change:
    """Return the augmentation of images of this (height, width).

    The same position and view give the same bits in any batch. Safe to call from several threads. It runs on
    the CPU even if nets have an accelerator: it is many small operations on single images.
    """
    import tensorflow as tf

    shapes = tf.TensorSpec((None, *size, 3), tf.uint8), tf.TensorSpec((None, DRAWS), tf.float32)
    with tf.device("CPU:0"):
        run = layers(recipe, size).get_concrete_function(*shapes)

    def change(images: np.ndarray, positions: np.ndarray, view: int, seed: int | None = None) -> np.ndarray:
        with tf.device("CPU:0"):
            numbers = tf.constant(draw(positions * 0 if recipe.shared else positions, view, seed))
            changed: np.ndarray = run(tf.constant(images), numbers).numpy()
        return changed

    return change


def layers(recipe: Recipe, size: tuple[int, int]) -> Any:
    """Return the recipe as a tf.function: (b, h, w, 3) uint8 images, (b, DRAWS) float32 numbers -> images.

    size: (height, width). numbers: of `draw`. The result has the images' shape and type. It can be used
    inside another graph.
    """
    import tensorflow as tf

    # keras-cv requests TensorFlow's global generator when a layer is made; under op determinism it must have
    # a seed. No layer draws from it.
    tf.random.set_global_generator(tf.random.Generator.from_seed(1))
    source = _Numbers()
    stack = [layer for name in RECIPES[recipe.name] for layer in OPERATIONS[name](recipe.strength, size)]
    for layer in stack:
        for inner in _inside(layer):
            source.feed(inner)
            if hasattr(inner, "fill_mode"):
                # The default, reflection, would mirror the image at its edges.
                inner.fill_mode = "nearest"

    def one(pair: tuple[Tensor, Tensor]) -> Tensor:
        image = tf.cast(pair[0], tf.float32)
        source.restart(pair[1])
        for layer in stack:
            image = layer(image, training=True)
        image = tf.ensure_shape(image, (*size, 3))
        return tf.cast(tf.round(tf.clip_by_value(image, 0.0, 255.0)), tf.uint8)

    def change(images: Tensor, numbers: Tensor) -> Tensor:
        # Image by image, so that none depends on the others; the loop runs several in parallel.
        return tf.map_fn(one, (images, numbers), fn_output_signature=tf.TensorSpec((*size, 3), tf.uint8))

    # A tf.function, because RandAugment needs AutoGraph for Python's `and`.
    return tf.function(change)


def _flip(strength: float, size: tuple[int, int]) -> list[Any]:
    import keras_cv

    return [keras_cv.layers.RandomFlip("horizontal")]


def _crop(strength: float, size: tuple[int, int]) -> list[Any]:
    import keras_cv

    # keras-cv requires a lower bound above 0, and a crop of a single pixel is useless.
    area = (max(0.05, 1.0 - strength), 1.0)
    return [keras_cv.layers.RandomCropAndResize(tuple(size), area, (3 / 4, 4 / 3))]


def _colour(strength: float, size: tuple[int, int]) -> list[Any]:
    import keras_cv

    share = 0.4 * strength
    # A factor f of keras-cv multiplies the saturation by f / (1 - f).
    return [
        keras_cv.layers.RandomBrightness(share, (0, 255)),
        keras_cv.layers.RandomContrast((0, 255), share),
        keras_cv.layers.RandomSaturation((0.5 - share / 2, 0.5 + share / 2)),
    ]


def _rotate(strength: float, size: tuple[int, int]) -> list[Any]:
    import keras_cv

    return [keras_cv.layers.RandomRotation(30 * strength / 360)]


def _randaug(strength: float, size: tuple[int, int]) -> list[Any]:
    import keras_cv

    return [keras_cv.layers.RandAugment((0, 255), augmentations_per_image=3, magnitude=strength / 2)]


OPERATIONS: dict[str, Callable[[float, tuple[int, int]], list[Any]]] = {
    "flip": _flip,
    "crop": _crop,
    "colour": _colour,
    "rotate": _rotate,
    "randaug": _randaug,
}
"""Operations by name: strength, (height, width) -> keras-cv layers for values 0..255."""


class _Numbers:
    """Replacement for both random sources of keras-cv's layers, which returns given numbers.

    The originals keep a state from call to call, so an image would depend on those before it.
    """

    def __init__(self) -> None:
        self.numbers: Tensor = None
        self.used = 0

    def feed(self, layer: Any) -> None:
        """Make a layer use these numbers."""
        import keras_cv

        layer._random_generator = self
        for name, value in list(vars(layer).items()):
            if isinstance(value, (keras_cv.core.UniformFactorSampler, keras_cv.core.NormalFactorSampler)):
                setattr(layer, name, _sampler(value, self))

    def restart(self, numbers: Tensor) -> None:
        """Set the (DRAWS,) numbers of the next image."""
        self.numbers, self.used = numbers, 0

    def uniform(
        self, shape: Any, minval: Any = 0.0, maxval: Any = None, dtype: Any = "float32", name: Any = None
    ) -> Tensor:
        """Replace tf.random.Generator.uniform, for a shape of one number."""
        import tensorflow as tf

        if self.used == DRAWS:
            raise RuntimeError(f"an image needs more than {DRAWS} random numbers")
        low, high = tf.cast(minval, tf.float32), tf.cast(1.0 if maxval is None else maxval, tf.float32)
        number = low + self.numbers[self.used] * (high - low)
        self.used += 1
        number = tf.reshape(number, shape)
        if tf.as_dtype(dtype).is_integer:
            return tf.cast(tf.minimum(tf.floor(number), high - 1.0), dtype)
        return tf.cast(number, dtype)


def _sampler(sampler: Any, source: _Numbers) -> Any:
    """Return a copy of keras-cv's uniform or normal sampler that uses given numbers."""
    import keras_cv
    import tensorflow as tf

    class Given(keras_cv.core.FactorSampler):  # type: ignore[misc]
        def __call__(self, shape: Any = (), dtype: Any = "float32") -> Tensor:
            if isinstance(sampler, keras_cv.core.UniformFactorSampler):
                return source.uniform(shape, sampler.lower, sampler.upper, dtype)
            number = sampler.mean + sampler.stddev * tf.math.ndtri(source.uniform(shape))
            return tf.cast(tf.clip_by_value(number, sampler.min_value, sampler.max_value), dtype)

    return Given()


def _inside(layer: Any) -> Iterator[Any]:
    """Yield a layer and all layers nested in it."""
    import keras

    yield layer
    for value in list(vars(layer).values()):
        for held in value if isinstance(value, (list, tuple)) else (value,):
            if isinstance(held, keras.Layer):
                yield from _inside(held)
