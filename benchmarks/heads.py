"""Speed of heads trained together, compared with one `keras.Model.fit` after the other.

    python -m benchmarks.heads [--rounds 3] [--epochs 40] [--units 64]

12 methods x 3 seeds on 5,000 x 1,280 drawn features, 40 classes with a long tail, batches of 128, and
1,000 rows for validation. A head's reference is a keras.Sequential with one Dense layer (two with --units:
that many in the hidden one) on the same arrays: the same initial weights, rows, loss, class weights and
optimizer, validated every epoch, the epoch with the best validation loss counted; only the order of its rows
is its own.

One round trains all 36 heads together three times and, in between, every method's reference for one seed;
the next round takes the next seed. So three rounds train every reference once. The ratio of a round is the
time of its 12 references, times three, over the median time of the 36 heads. The first time of all includes
compiling, as the time of every reference does, and has a ratio of its own: over the references of its round.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from bench.core.environment import quiet
from bench.methods.apply import resolve
from bench.methods.grammar import parse_methods
from bench.training.fits import Fit, Trained, TrainSetting
from bench.training.schedule import initial_kernel

METHODS = parse_methods(
    "none, class_weight, class_balanced, balanced_softmax, logit_adjust, label_smoothing, focal, "
    "focal+class_weight, oversample(median), oversample(median)+class_weight, undersample(median), "
    "smote(target=median)"
)
SEEDS = (0, 1, 2)
TRAIN, VAL, WIDTH, CLASSES = 5_000, 1_000, 1_280, 40
SETTING = TrainSetting(batch_size=128, lr=1e-3, patience=0)


class Cost(NamedTuple):
    """Seconds by the clock, and of the processor, all threads together."""

    wall: float
    processor: float

    @classmethod
    def now(cls) -> Cost:
        """Return both counters."""
        return cls(time.perf_counter(), time.process_time())

    def since(self, began: Cost) -> Cost:
        """Return what was spent between two counts."""
        return Cost(self.wall - began.wall, self.processor - began.processor)


@dataclass(frozen=True)
class Inputs:
    """All rows that any head sees, and one fit per method and seed."""

    features: np.ndarray
    y: np.ndarray
    fits: dict[tuple[str, int], Fit]


def draw(epochs: int, units: int = 0) -> Inputs:
    """Draw features: one Gaussian per class, class sizes falling geometrically by a factor of 60."""
    rng = np.random.default_rng(0)
    shares = 60.0 ** -np.linspace(0, 1, CLASSES)
    y = rng.choice(CLASSES, size=TRAIN + VAL, p=shares / shares.sum()).astype(np.int32)
    centres = rng.normal(size=(CLASSES, WIDTH))
    features = (rng.normal(size=(len(y), WIDTH)) + 0.15 * centres[y]).astype(np.float32)
    rows, val_rows = np.arange(TRAIN), np.arange(TRAIN, TRAIN + VAL)
    tables, labels, fits = [features], [y], {}
    for method in METHODS:
        for seed in SEEDS:
            made = resolve(method, y[rows], features[rows], CLASSES, seed)
            start = sum(map(len, labels))
            places = np.concatenate([rows, start + np.arange(len(made.resampled.labels))])
            own = places[made.resampled.rows]
            fits[method.text, seed] = Fit(own, val_rows, made.loss, made.weights, seed, epochs, units=units)
            tables.append(made.resampled.synthetic)
            labels.append(made.resampled.labels)
    return Inputs(np.concatenate(tables), np.concatenate(labels).astype(np.int32), fits)


def together(inputs: Inputs) -> tuple[Cost, list[Trained]]:
    """Train every head in one call; return what it took, and the outcomes."""
    from bench.training.trainer import train_heads

    began = Cost.now()
    outcomes = train_heads(inputs.features, inputs.y, CLASSES, list(inputs.fits.values()), SETTING)
    return Cost.now().since(began), outcomes


def reference(inputs: Inputs, fit: Fit) -> tuple[Cost, float]:
    """Train one head by fit; return what it took, and validation top-1 of its best epoch."""
    import keras
    import tensorflow as tf

    offset = np.zeros(CLASSES, np.float32) if fit.loss.offset is None else fit.loss.offset
    weights = np.ones(CLASSES, np.float32) if fit.weights is None else fit.weights

    class Loss(keras.losses.Loss):  # type: ignore[misc]
        def call(self, truth: tf.Tensor, logits: tf.Tensor) -> tf.Tensor:
            onehot = tf.one_hot(tf.cast(tf.reshape(truth, [-1]), tf.int32), CLASSES)
            numbers = fit.loss.params
            if fit.loss.family == "focal":
                return keras.losses.categorical_focal_crossentropy(
                    onehot, logits + offset, numbers["alpha"], numbers["gamma"], from_logits=True
                )
            assert fit.loss.family == "softmax"
            return keras.losses.categorical_crossentropy(
                onehot, logits + offset, from_logits=True, label_smoothing=numbers.get("smoothing", 0.0)
            )

    keras.backend.clear_session()
    x, y = inputs.features[fit.rows], inputs.y[fit.rows]
    val_x, val_y = inputs.features[fit.val_rows], inputs.y[fit.val_rows]
    began = Cost.now()
    keras.utils.set_random_seed(fit.seed)
    hidden = [keras.layers.Dense(fit.units, activation="relu")] if fit.units else []
    model = keras.Sequential([keras.Input((WIDTH,)), *hidden, keras.layers.Dense(CLASSES)])
    for place, layer in enumerate(model.layers):
        kernel, bias = layer.get_weights()
        layer.set_weights([initial_kernel(fit.seed, kernel.shape[0], kernel.shape[1], place), bias])
    model.compile(
        keras.optimizers.Adam(SETTING.lr),
        Loss(reduction="mean_with_sample_weight"),
        metrics=["sparse_categorical_accuracy"],
    )
    history = model.fit(
        x,
        y,
        sample_weight=weights[y],
        batch_size=SETTING.batch_size,
        epochs=fit.epochs,
        verbose=0,
        validation_data=(val_x, val_y, weights[val_y]),
        validation_batch_size=VAL,
    ).history
    cost = Cost.now().since(began)
    best = int(np.argmin(history["val_loss"]))
    return cost, float(history["val_sparse_categorical_accuracy"][best])


def score(trained: Trained) -> float:
    """Return validation top-1 of the best epoch."""
    line = trained.history[trained.best_epoch - 1]
    assert line.val_score is not None
    return line.val_score


def main() -> None:
    """Print ratios round by round, then each method's scores beside its reference's."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--units", type=int, default=0, help="of a hidden layer; 0: linear heads")
    asked = parser.parse_args()
    quiet()
    inputs, one = draw(asked.epochs, asked.units), draw(1)
    reference(one, one.fits["none", 0])
    rows = sum(len(fit.rows) for fit in inputs.fits.values()) / len(inputs.fits)
    print(f"{len(inputs.fits)} heads, {rows:.0f} rows each")
    ratios: list[Cost] = []
    theirs: dict[tuple[str, int], float] = {}
    outcomes: list[Trained] = []
    for number in range(asked.rounds):
        ours, fits = [], Cost(0.0, 0.0)
        for place, method in enumerate(METHODS):
            if place % 4 == 0:
                cost, outcomes = together(inputs)
                ours.append(cost)
            key = method.text, SEEDS[(place + number) % len(SEEDS)]
            cost, theirs[key] = reference(inputs, inputs.fits[key])
            fits = Cost(fits.wall + cost.wall, fits.processor + cost.processor)
        if number == 0:
            first, ours = ours[0], ours[1:]
            compiled = Cost(*(len(SEEDS) * a / b for a, b in zip(fits, first, strict=True)))
            print(f"36 heads with compiling: {_told([first])}; ratio {_ratio(compiled)}")
        middle = Cost(*map(statistics.median, zip(*ours, strict=True)))
        ratios.append(Cost(*(len(SEEDS) * a / b for a, b in zip(fits, middle, strict=True))))
        print(f"round {number + 1}: 12 references {_told([fits])}; 36 heads {_told(ours)};", end=" ")
        print(f"ratio {_ratio(ratios[-1])}", flush=True)
    scores = {key: score(trained) for key, trained in zip(inputs.fits, outcomes, strict=True)}
    print(f"\n{'method':40}{'together':>9}{'references':>12}{'difference':>12}")
    worst = 0.0
    for method in METHODS:
        keys = [(method.text, seed) for seed in SEEDS if (method.text, seed) in theirs]
        mine, other = (statistics.mean(table[key] for key in keys) for table in (scores, theirs))
        worst = max(worst, abs(mine - other))
        print(f"{method.text:40}{mine:9.4f}{other:12.4f}{mine - other:+12.4f}")
    middle = Cost(*map(statistics.median, zip(*ratios, strict=True)))
    print(
        f"\nmedian of {asked.rounds} rounds, beside fit on {os.cpu_count()} cores: {_ratio(middle)}; with "
        f"compiling {_ratio(compiled)}; largest difference of a method's mean validation top-1: {worst:.4f}"
    )


def _told(costs: list[Cost]) -> str:
    return ", ".join(f"{cost.wall:.1f} s ({cost.processor:.1f} of the processor)" for cost in costs)


def _ratio(ratio: Cost) -> str:
    return f"{ratio.wall:.1f}x by the clock, {ratio.processor:.1f}x by the processor"


if __name__ == "__main__":
    main()
