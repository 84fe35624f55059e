"""How often the intervals of a comparison hold the true difference, by simulation: prints a Markdown table.

    python benchmarks/interval_coverage.py [--trials 400]

Each trial draws the test answers of two models whose true accuracies per class are known. The classes have
the sizes and accuracies of the published fashion baseline, whose second stage has 68 classes, 22 of them with
fewer than ten test images. A 95% interval should hold the truth in 95% of the trials.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bench import stats
from bench.baselines import load_baseline
from bench.paired import Pair, draw
from bench.spec import Predictions

BASELINES = Path(__file__).resolve().parent.parent / "baselines"
DRAWS = 400
SEED_SPREAD = 0.01
"""Standard deviation of a model's accuracy from one seed to the next, where several are simulated."""


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=400)
    trials = parser.parse_args().trials
    print("| stage | interval | covers |\n| --- | --- | --- |")
    for result in load_baseline("fashion", "seed-003-resnet50", [BASELINES]).published:
        sizes = np.array(list(result.support.values()))
        hits = np.array([row["top1"].hits or 0 for row in result.classes.values()])
        theirs = (hits + 0.5) / (sizes + 1)
        rng = np.random.Generator(np.random.PCG64(0))
        name = f"{result.stage}, {len(sizes)} classes"
        for what, covered in unpaired(rng, sizes, theirs, trials):
            print(f"| {name} | {what} | {covered:.3f} |", flush=True)
        smaller = np.maximum(1, sizes // 4)
        for seeds in (1, 2, 3, 5):
            for what, covered in paired(rng, smaller, theirs, seeds, trials):
                print(f"| {name}, a quarter of the images | {what} | {covered:.3f} |", flush=True)


def unpaired(
    rng: np.random.Generator, sizes: np.ndarray, theirs: np.ndarray, trials: int
) -> Iterator[tuple[str, float]]:
    """Yield the coverage of the intervals that need hits alone, for a model 3% worse than the published."""
    ours = 0.97 * theirs
    micro, macro = np.average(ours - theirs, weights=sizes), (ours - theirs).mean()
    inside = {
        "Newcombe, micro": 0,
        "normal with Jeffreys' shares, macro": 0,
        "square-and-add of Wilson's limits, macro": 0,
    }
    for _ in range(trials):
        a, b = rng.binomial(sizes, ours), rng.binomial(sizes, theirs)
        low, high = stats.newcombe(int(a.sum()), int(sizes.sum()), int(b.sum()), int(sizes.sum()))
        inside["Newcombe, micro"] += low <= micro <= high
        low, high = stats.macro_difference(a.tolist(), sizes.tolist(), b.tolist(), sizes.tolist())
        inside["normal with Jeffreys' shares, macro"] += low <= macro <= high
        low, high = square_and_add(a, b, sizes)
        inside["square-and-add of Wilson's limits, macro"] += low <= macro <= high
    for what, count in inside.items():
        yield what, count / trials


def square_and_add(a: np.ndarray, b: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Return the interval that `stats.macro_difference` does not use (Zou & Donner 2008), to compare with."""
    below = above = 0.0
    for h, g, n in zip(a.tolist(), b.tolist(), sizes.tolist(), strict=True):
        one, two = stats.wilson(h, n), stats.wilson(g, n)
        below += (h / n - one.low) ** 2 + (two.high - g / n) ** 2
        above += (one.high - h / n) ** 2 + (g / n - two.low) ** 2
    difference = float(((a - b) / sizes).mean())
    return difference - math.sqrt(below) / len(sizes), difference + math.sqrt(above) / len(sizes)


def paired(
    rng: np.random.Generator, sizes: np.ndarray, theirs: np.ndarray, seeds: int, trials: int
) -> Iterator[tuple[str, float]]:
    """Yield the coverage of the paired bootstrap for a model 3% worse on the same images.

    With one seed the truth is about the two trained models, with several about models trained with any seed.
    """
    ours, truth = 0.97 * theirs, np.repeat(np.arange(len(sizes)), sizes)
    target = {"top1_micro": np.average(ours - theirs, weights=sizes), "top1_macro": (ours - theirs).mean()}
    inside, spread = dict.fromkeys(target, 0), SEED_SPREAD if seeds > 1 else 0.0
    plain = 0
    for trial in range(trials):
        easy = rng.random(len(truth))
        pairs = [
            Pair(answers(rng, ours, truth, easy, spread), answers(rng, theirs, truth, easy, spread))
            for _ in range(seeds)
        ]
        changed = np.any([pair.changed() for pair in pairs], axis=0)
        drawn = draw(pairs, changed, None, DRAWS, trial).metrics
        for name, value in target.items():
            low, high = stats.percentile_interval(stats.nested_means(drawn[name], trial))
            inside[name] += low <= value <= high
        if seeds == 1:
            weights = stats.bootstrap_weights(len(truth), DRAWS, trial)
            low, high = stats.percentile_interval(pairs[0].differences(weights)["top1_macro"])
            plain += low <= target["top1_macro"] <= high
    of = f"{seeds} seed{'' if seeds == 1 else 's'}"
    yield f"paired bootstrap, micro, {of}", inside["top1_micro"] / trials
    yield f"paired bootstrap, macro, {of}", inside["top1_macro"] / trials
    if seeds == 1:
        yield f"the same as drawn, nothing added, macro, {of}", plain / trials


def answers(
    rng: np.random.Generator, chance: np.ndarray, truth: np.ndarray, easy: np.ndarray, spread: float
) -> Predictions:
    """Return the answers of one trained model; an image easy for one is often easy for all."""
    k = len(chance)
    trained = np.clip(chance + rng.normal(0, spread), 0, 1)
    luck = np.where(rng.random(len(truth)) < 0.7, easy, rng.random(len(truth)))
    scores = np.zeros((len(truth), k), np.float32)
    scores[np.arange(len(truth)), np.where(luck < trained[truth], truth, (truth + 1) % k)] = 1
    return Predictions(
        items=tuple(map(str, range(len(truth)))),
        groups=None,
        truth=truth.astype(np.int32),
        scores=scores,
        classes=tuple(map(str, range(k))),
        train_support=np.full(k, 50),
    )


if __name__ == "__main__":
    main()
