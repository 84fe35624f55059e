"""How often intervals over resampled people hold the truth, by simulation: prints a Markdown table.

    python benchmarks/pair_coverage.py [--trials 400]

Scores of pairs of photos are normal; people have effects on the scores of their pairs. Designs: 1,000 pairs
of which most people are on one or two, as in View 1 of Labeled Faces in the Wild; 500 made pairs of 80
people; 500 made pairs of 20 people, as of the half of ORL that tests. A 95% interval should hold the truth in
95% of the trials. Beside it stand what the products of weights give as they are drawn, and pairs resampled as
if they shared nobody.
"""

from __future__ import annotations

import argparse
import math
from statistics import NormalDist

import numpy as np

from bench import stats
from bench.metrics.placements import attribute_areas
from bench.people import People, PeopleDraws

DRAWS = 1000
CUT, APART = 0.6, 1.2
"""Half way between the means of different and same pairs, which are so far apart."""

DESIGNS = {
    "View 1: 1,000 pairs": (1000, 1000, 480),
    "500 made pairs of 80 people": (500, 80, 80),
    "500 made pairs of 20 people": (500, 20, 20),
}
"""Pairs; people that different pairs are of; and that same pairs are of."""

EFFECTS = (0.0, 0.3, 0.6)
"""Standard deviation of a person's effect, where a score's is 1."""


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=400)
    trials = parser.parse_args().trials
    print("| pairs | effect of people | metric | people | as drawn | pairs |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name, sizes in DESIGNS.items():
        for effect in EFFECTS:
            for metric, (people, products, pairs) in covered(*sizes, effect, trials).items():
                row = f"{people:.3f} | {products:.3f} | {pairs:.3f}"
                print(f"| {name} | {effect} | {metric} | {row} |", flush=True)


def covered(
    pairs: int, people: int, with_two: int, effect: float, trials: int
) -> dict[str, tuple[float, float, float]]:
    """Return the coverage of the three kinds of intervals, by metric."""
    rng = np.random.Generator(np.random.PCG64(0))
    first = np.concatenate([rng.integers(0, with_two, pairs // 2), rng.integers(0, people, pairs // 2)])
    other = (first + rng.integers(1, people, pairs)) % people
    same = np.arange(pairs) < pairs // 2
    who = People.of(list(map(str, first)), list(map(str, np.where(same, first, other))))
    draws = PeopleDraws(who, DRAWS, 0)
    weights = np.concatenate(list(draws.chunks(DRAWS)))
    total = weights.sum(axis=1, dtype=np.float64)
    normal = NormalDist()
    truth = {"accuracy": normal.cdf(APART / 2), "AUC": normal.cdf(APART / math.sqrt(2))}
    held = {name: np.zeros(3) for name in truth}
    for _ in range(trials):
        scores = simulated(who, effect, rng)
        areas = attribute_areas(scores[:, None], same[:, None].astype(np.int32), {"AUC": np.ones(1, bool)})
        numbers = {"accuracy": ((scores >= CUT) == same).astype(np.float64), **areas}
        for name, own in numbers.items():
            drawn, observed = (weights @ own) / total, float(own.mean())
            kinds = (draws.spread(drawn, observed), drawn[:DRAWS], drawn[DRAWS + draws.own :])
            for place, values in enumerate(kinds):
                low, high = stats.percentile_interval(values)
                held[name][place] += low <= truth[name] <= high
    return {name: (count[0] / trials, count[1] / trials, count[2] / trials) for name, count in held.items()}


def simulated(who: People, effect: float, rng: np.random.Generator) -> np.ndarray:
    """Return scores, normal with variance 1; people's effects on same and on different pairs are apart."""
    own, tied = rng.normal(size=(2, who.count)) * effect
    noise = rng.normal(size=len(who.first)) * math.sqrt(1 - 2 * effect**2)
    mean = np.where(who.same, APART + math.sqrt(2) * tied[who.first], own[who.first] + own[who.second])
    scores: np.ndarray = mean + noise
    return scores


if __name__ == "__main__":
    main()
