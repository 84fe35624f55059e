"""What fine-tuning a whole net costs beside a bare `keras.Model.fit` of the same net on the same arrays.

    KERAS_HOME=... python -m benchmarks.finetune [--rounds 6] [--images 256] [--methods none,cmo]

MobileNetV2 0.35 at 224x224, batches of 16, Adam, a linear head for 20 classes; drawn pixels, a fifth of them
for validation after every epoch. What is measured is what the regime `finetune` does: reading images, their
scaling, loss, optimizer, validation, keeping the best epoch, a checkpoint after every epoch. Beside it nets
that change or mix the images of every minibatch.

`fit` runs as a user would call it, and once more with deterministic operations, as in every run of ours.

Each trains in a process of its own, and they take turns: one epoch of each is a round. (As threads of one
process they share TensorFlow's pool, and `fit` got one core of two.) The first round, in which nets are
compiled, is shown but not counted. The ratio of a round is a net's time over that of `fit` in the same round,
by the clock and by the processor's time; the median of the rounds is what counts. On a machine that does
other work besides, the processor's time is the one to look at.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.determinism import make_deterministic
from bench.backbones.registry import build_backbone, get_backbone, preprocess
from bench.core.cell import MethodSpec
from bench.methods.grammar import parse_methods
from bench.methods.shape import shape_of
from bench.training.fits import Fit, TrainSetting
from bench.training.linear_head import LossSpec

METHODS = "none,augment(flip),augment,augment(randaug),mixup,cutmix,cmo"
DETERMINISTIC = "fit, same bits"
SIZE, BATCH, CLASSES, RATE = (224, 224), 16, 20, 1e-4


class Turns:
    """Lets one of several processes work at a time, each for one round, and notes what a round took."""

    def __init__(self, names: list[str]) -> None:
        context = multiprocessing.get_context("spawn")
        self.names, self.at = names, context.Value("i", 0)
        self.moved = context.Condition()
        self.began = 0.0, 0.0
        self.spent = context.SimpleQueue()

    def wait(self, name: str) -> None:
        """Wait for the turn of this name, and begin to count."""
        with self.moved:
            self.moved.wait_for(lambda: self.names[self.at.value] == name)
        self.began = time.perf_counter(), time.process_time()

    def over(self, name: str) -> None:
        """Note what the turn took, and pass it on."""
        wall, processor = (
            now - then
            for now, then in zip((time.perf_counter(), time.process_time()), self.began, strict=True)
        )
        self.spent.put((name, wall, processor))
        with self.moved:
            self.at.value = (self.at.value + 1) % len(self.names)
            self.moved.notify_all()


def build(seed: int) -> Any:
    """Return the net with its trained weights."""
    return build_backbone(get_backbone("mobilenetv2_035"), SIZE, "imagenet", seed)


def scale() -> Callable[[Any], Any]:
    """Return the preprocessing of the net."""
    return preprocess(get_backbone("mobilenetv2_035"), "backbone")


def drawn(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pixels and classes of so many images to train on, and of a quarter as many to validate."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (images * 5 // 4, *SIZE, 3), np.uint8)
    return pixels, rng.integers(0, CLASSES, len(pixels)).astype(np.int32)


def fit(name: str, images: int, rounds: int, turns: Turns) -> None:
    """Train by Keras alone, with TensorFlow's deterministic operations if the name says so."""
    if name == DETERMINISTIC:
        make_deterministic()
    import keras

    pixels, y = drawn(images)
    turns.wait(name)

    class Passing(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            turns.over(name)
            if epoch + 1 < rounds:
                turns.wait(name)

    given = keras.Input((*SIZE, 3), dtype="uint8")
    scaled = keras.layers.Lambda(scale(), output_shape=(*SIZE, 3))(given)
    model = keras.Model(given, keras.layers.Dense(CLASSES)(build(0)(scaled)))
    model.compile(keras.optimizers.Adam(RATE), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(
        pixels[:images],
        y[:images],
        batch_size=BATCH,
        epochs=rounds,
        verbose=0,
        validation_data=(pixels[images:], y[images:]),
        validation_batch_size=BATCH,
        callbacks=[Passing()],
    )


def train(method: MethodSpec, images: int, rounds: int, turns: Turns, folder: Path) -> None:
    """Train as the regime does."""
    make_deterministic()
    from bench.training.nets.train import train_nets

    pixels, y = drawn(images)
    text, shape = method.text, shape_of(method)
    rows, val_rows = np.arange(images), np.arange(images, len(pixels))
    fit = Fit(
        rows, val_rows, LossSpec(), None, seed=0, epochs=rounds, mixing=shape.mixing, recipe=shape.recipe
    )
    setting = TrainSetting(batch_size=BATCH, lr=RATE, patience=0)

    def told(done: int, total: int, what: str) -> None:
        turns.over(text)
        if done < total:
            turns.wait(text)

    turns.wait(text)
    path = folder / f"{text}.npz"
    for _ in train_nets(build, pixels, scale(), y, CLASSES, [fit], setting, told, [path]):
        pass


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--methods", default=METHODS)
    asked = parser.parse_args()
    methods = parse_methods(asked.methods)
    if not os.environ.get("KERAS_HOME"):
        sys.exit("set KERAS_HOME to a folder that has the ImageNet weights of MobileNetV2 0.35")
    names = ["fit", DETERMINISTIC, *(method.text for method in methods)]
    turns, context = Turns(names), multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder:
        given = asked.images, asked.rounds, turns
        work = [context.Process(target=fit, args=(name, *given), daemon=True) for name in names[:2]]
        for method in methods:
            work.append(context.Process(target=train, args=(method, *given, Path(folder)), daemon=True))
        for process in work:
            process.start()
        spent: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
        while any(len(each) < asked.rounds for each in spent.values()):
            if any(process.exitcode for process in work):
                sys.exit("a process failed: see above")
            while not turns.spent.empty():
                name, *took = turns.spent.get()
                spent[name].append((took[0], took[1]))
            time.sleep(0.5)
        for process in work:
            process.join()
    show(spent)


def show(spent: dict[str, list[tuple[float, float]]]) -> None:
    """Print, for each net, what its rounds took beside those of fit: (by clock, by processor) each."""
    theirs = spent["fit"]
    print(f"{'':18}{'first':>8}{'epoch':>8}{'processor':>11}{'ratio':>8}{'processor':>11}   rounds by clock")
    for name, own in spent.items():
        wall, processor = (statistics.median(one[place] for one in own[1:]) for place in (0, 1))
        ratios = [
            [one[place] / other[place] for one, other in zip(own[1:], theirs[1:], strict=True)]
            for place in (0, 1)
        ]
        by_clock, by_processor = (statistics.median(part) for part in ratios)
        each = " ".join(f"{value:.2f}" for value in ratios[0])
        print(
            f"{name:18}{own[0][0]:7.1f}s{wall:7.2f}s{processor:10.2f}s{by_clock:8.3f}{by_processor:11.3f}"
            f"   {each}"
        )


if __name__ == "__main__":
    main()
