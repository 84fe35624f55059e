"""How often 95% intervals hold the truth, by simulation: prints Markdown tables for docs/statistics.md.

    python -m benchmarks.coverage [--trials 400]

Runs: the test answers of two models whose true accuracies per class are known, on the same items; classes as
large as the published fashion ones, as few large ones, or as many tiny ones. Pairs of photos: scores are
normal and people have effects on those of their pairs. Beside today's intervals stands `before`: the nested
bootstrap that resampled seeds too, and for people the factor P / (P - 1) alone. Published numbers: intervals
from hits alone.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import NormalDist

import numpy as np

from bench.compare.baselines.find import load_baseline
from bench.compare.estimates import Contrast, MetricSamples, estimated
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.pairing import Items
from bench.compare.subgroups import DIFFERENT, Subgroups
from bench.core.predictions import Predictions
from bench.kinds.verification.people_bootstrap import People, PeopleDraws
from bench.metrics import bootstrap, intervals
from bench.metrics.rank_sums import attribute_areas

BASELINES = Path(__file__).resolve().parent.parent / "baselines"
DRAWS, BATCH = 1000, 50
"""Resamples, and trials that share them."""

SEED_SPREAD = 0.01
"""Standard deviation of a model's accuracy from one seed to the next."""

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

GAPS = ((240, 2), (240, 8), (800, 8))
"""Test items, and the subgroups that they are divided into at random."""


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--trials", type=int, default=400)
    trials = parser.parse_args().trials
    print("| classes | mean | seeds | before | now | seeds close |\n| --- | --- | --- | --- | --- | --- |")
    for name, (sizes, theirs) in stages().items():
        for seeds in (1, 2, 3, 5):
            for metric, shares in runs(sizes, theirs, seeds, trials).items():
                shown = " | ".join("–" if math.isnan(share) else f"{share:.3f}" for share in shares)
                print(f"| {name} | {metric} | {seeds} | {shown} |", flush=True)
    print("\n| pairs | effect of people | metric | before | now |\n| --- | --- | --- | --- | --- |")
    for name, design in DESIGNS.items():
        for effect in EFFECTS:
            for metric, (before, now) in people(*design, effect, trials).items():
                print(f"| {name} | {effect} | {metric} | {before:.3f} | {now:.3f} |", flush=True)
    print("\n| stage | interval | covers |\n| --- | --- | --- |")
    for name, sizes, theirs in published():
        for what, share in from_hits(sizes, theirs, trials):
            print(f"| {name} | {what} | {share:.3f} |", flush=True)

    print("\n| items | subgroups | chosen in advance | as reported |\n| --- | --- | --- | --- |")
    for items, count in GAPS:
        shown = " | ".join(f"{share:.3f}" for share in gaps(items, count, trials))
        print(f"| {items} | {count} | {shown} |", flush=True)


def published() -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield the stages of the published fashion baseline: name, items and accuracy of each class."""
    for result in load_baseline("fashion", "seed-003-resnet50", [BASELINES]).published:
        sizes = np.array(list(result.support.values()))
        hits = np.array([row["top1"].hits or 0 for row in result.classes.values()])
        yield f"{result.stage}, {len(sizes)} classes", sizes, (hits + 0.5) / (sizes + 1)


def stages() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Return items and accuracies of classes by name."""
    out = {
        f"{name}, a quarter of the items": (np.maximum(1, sizes // 4), theirs)
        for name, sizes, theirs in published()
    }
    return {
        **out,
        "4 classes of 300": (np.full(4, 300), np.array([0.9, 0.8, 0.7, 0.6])),
        "60 classes of 3": (np.full(60, 3), np.linspace(0.9, 0.5, 60)),
    }


def runs(sizes: np.ndarray, theirs: np.ndarray, seeds: int, trials: int) -> dict[str, list[float]]:
    """Return the coverage of the difference to a model 3% worse, by metric, before and now.

    The third number is that of now where seeds lie closer than luck on items makes them. With one seed the
    truth is about the two trained models, with several about models trained with any seed.
    """
    rng = np.random.Generator(np.random.PCG64(0))
    ours, truth = 0.97 * theirs, np.repeat(np.arange(len(sizes)), sizes).astype(np.int32)
    names = tuple(map(str, range(len(truth))))
    spread = SEED_SPREAD if seeds > 1 else 0.0
    gap = expected(ours, spread) - expected(theirs, spread)
    targets = {"top1_micro": np.average(gap, weights=sizes), "top1_macro": gap.mean()}
    held = {name: list[tuple[bool, bool, bool]]() for name in targets}
    items = Items(names, None, truth, tuple(map(str, range(len(sizes)))))
    for first in range(0, trials, BATCH):
        made, batch = PairedBootstrap("multiclass", items, DRAWS, first), range(min(BATCH, trials - first))
        for trial in batch:
            easy = rng.random(len(truth))
            for seed in range(seeds):
                for name, chance in (("a", ours), ("b", theirs)):
                    hits = answered(rng, chance, truth, easy, spread).astype(np.float32)
                    made.add(f"{name}{trial}.{seed}", {"top1": hits}, np.full(len(sizes), 50))
        for name, target in targets.items():
            for trial in batch:
                pairs = [(f"a{trial}.{seed}", f"b{trial}.{seed}") for seed in range(seeds)]
                found = made.estimate(name, Contrast.paired(dict(enumerate(pairs))))
                assert found is not None and found.low is not None and found.high is not None
                low, high = nested(made, name, pairs, trial)
                covers = found.low <= target <= found.high
                held[name].append((low <= target <= high, covers, close(made, name, pairs)))
    tables = {name: np.array(rows) for name, rows in held.items()}
    return {
        name: [*table[:, :2].mean(axis=0), table[table[:, 2], 1].mean() if seeds > 1 else math.nan]
        for name, table in tables.items()
    }


def close(made: PairedBootstrap, metric: str, pairs: Sequence[tuple[str, str]]) -> bool:
    """Tell whether seeds lie closer together than luck on the items that each has of its own makes them."""
    drawn = np.stack([made.drawn(metric)[a] - made.drawn(metric)[b] for a, b in pairs])
    seen = [made.observed(metric, a) - made.observed(metric, b) for a, b in pairs]
    luck = len(pairs) * (drawn.var(axis=1).mean() - drawn.mean(axis=0).var())
    return bool(np.var(seen) * len(pairs) < luck)


def expected(chance: np.ndarray, spread: float) -> np.ndarray:
    """Return the mean accuracy over seeds: none is above 1."""
    moved = np.random.default_rng(0).normal(0, spread, (20_000, 1))
    out: np.ndarray = np.clip(chance + moved - moved.mean(), 0, 1).mean(axis=0)
    return out


def nested(
    made: PairedBootstrap, metric: str, pairs: Sequence[tuple[str, str]], trial: int
) -> tuple[float, float]:
    """Return the interval of before: seeds resampled beside items, S - 1 of S, small classes completed."""
    drawn = made.drawn(metric)
    rows = []
    for ours, theirs in pairs:
        values = drawn[ours] - drawn[theirs]
        if metric == "top1_macro":
            counts = made.items.counts
            gap = made.values["top1"][ours] - made.values["top1"][theirs]
            lacks = bootstrap.within_classes(gap[None], counts)[0] * (1 / counts**2).sum() / len(counts) ** 2
            observed = made.observed(metric, ours) - made.observed(metric, theirs)
            values = observed + (values - values.mean()) * math.sqrt(1 + lacks / values.var())
        rows.append(values)
    table = np.stack(rows)
    if len(pairs) > 1:
        picks = np.random.default_rng(trial).integers(0, len(pairs), (len(pairs) - 1, table.shape[1]))
        table = np.take_along_axis(table, picks, axis=0)
    return bootstrap.percentile_interval(table.mean(axis=0))


def answered(
    rng: np.random.Generator, chance: np.ndarray, truth: np.ndarray, easy: np.ndarray, spread: float
) -> np.ndarray:
    """Return which items one trained model answers right; an item easy for one is often easy for all."""
    trained = np.clip(chance + rng.normal(0, spread), 0, 1)
    luck = np.where(rng.random(len(truth)) < 0.7, easy, rng.random(len(truth)))
    right: np.ndarray = luck < trained[truth]
    return right


def people(
    pairs: int, count: int, with_two: int, effect: float, trials: int
) -> dict[str, tuple[float, float]]:
    """Return the coverage of the intervals over resampled people, by metric, before and now.

    Who is on the pairs is drawn anew in each batch of trials, as the resamples are.
    """
    rng, normal = np.random.Generator(np.random.PCG64(0)), NormalDist()
    truth = {"accuracy": normal.cdf(APART / 2), "auc": normal.cdf(APART / math.sqrt(2))}
    held = {name: np.zeros(2) for name in truth}
    same = np.arange(pairs) < pairs // 2
    for start in range(0, trials, BATCH):
        first = np.concatenate([rng.integers(0, with_two, pairs // 2), rng.integers(0, count, pairs // 2)])
        other = (first + rng.integers(1, count, pairs)) % count
        who = People.of(list(map(str, first)), list(map(str, np.where(same, first, other))))
        draws, numbers = PeopleDraws(who, DRAWS, start), []
        for _ in range(min(BATCH, trials - start)):
            scores = simulated(who, effect, rng)
            area = attribute_areas(scores[:, None], same[:, None].astype(np.int32), {"auc": np.ones(1, bool)})
            numbers += [("accuracy", ((scores >= CUT) == same).astype(np.float64)), ("auc", area["auc"])]
        table = np.stack([own for _, own in numbers], axis=1)
        drawn = np.concatenate([(w @ table) / w.sum(axis=1)[:, None] for w in draws.chunks(DRAWS)])
        # Before, few people had the factor P / (P - 1) alone.
        narrower = math.sqrt(who.count / (who.count - 1) / draws.inflation)
        for (name, own), values in zip(numbers, drawn.T, strict=True):
            source = MetricSamples({"own": values}, {"own": float(own.mean())}, {})
            found = estimated(source, Contrast.mean(["own"]), draws, 0)
            assert found.low is not None and found.high is not None
            for place, width in enumerate((narrower, 1.0)):
                low, high = (found.value + width * (end - found.value) for end in (found.low, found.high))
                held[name][place] += low <= truth[name] <= high
    return {name: (count[0] / trials, count[1] / trials) for name, count in held.items()}


def simulated(who: People, effect: float, rng: np.random.Generator) -> np.ndarray:
    """Return scores, normal with variance 1; people's effects on same and on different pairs are apart."""
    own, tied = rng.normal(size=(2, who.count)) * effect
    noise = rng.normal(size=len(who.first)) * math.sqrt(1 - 2 * effect**2)
    mean = np.where(who.same, APART + math.sqrt(2) * tied[who.first], own[who.first] + own[who.second])
    scores: np.ndarray = mean + noise
    return scores


def from_hits(sizes: np.ndarray, theirs: np.ndarray, trials: int) -> Iterator[tuple[str, float]]:
    """Yield the coverage of the intervals that need hits alone, for a model 3% worse than the published."""
    rng, ours = np.random.Generator(np.random.PCG64(0)), 0.97 * theirs
    micro, macro = np.average(ours - theirs, weights=sizes), (ours - theirs).mean()
    inside = {
        "Newcombe, micro": 0,
        "normal with Jeffreys' shares, macro": 0,
        "square-and-add of Wilson's limits, macro": 0,
    }
    for _ in range(trials):
        a, b = rng.binomial(sizes, ours), rng.binomial(sizes, theirs)
        low, high = intervals.newcombe(int(a.sum()), int(sizes.sum()), int(b.sum()), int(sizes.sum()))
        inside["Newcombe, micro"] += low <= micro <= high
        low, high = intervals.macro_difference(a.tolist(), sizes.tolist(), b.tolist(), sizes.tolist())
        inside["normal with Jeffreys' shares, macro"] += low <= macro <= high
        low, high = square_and_add(a, b, sizes)
        inside["square-and-add of Wilson's limits, macro"] += low <= macro <= high
    for what, count in inside.items():
        yield what, count / trials


def gaps(items: int, count: int, trials: int) -> tuple[float, float]:
    """Return how often the gap of equally hard subgroups excludes 0: by the plain interval, as reported."""
    plain = reported = 0
    for trial in range(trials):
        rng = np.random.Generator(np.random.PCG64(trial))
        truth = rng.integers(0, 2, items)
        hits = rng.random(items) < 0.7
        pred = Predictions(
            items=tuple(map(str, range(items))),
            groups=None,
            truth=truth.astype(np.int32),
            scores=np.eye(2, dtype=np.float32)[np.where(hits, truth, 1 - truth)],
            classes=("no", "yes"),
            train_support=np.array([100, 100]),
        )
        values = dict(zip(pred.items, map(str, rng.integers(0, count, items)), strict=True))
        found = Subgroups.of("random", "multiclass", {"own": pred}, values, ["top1_micro"], DRAWS)
        gap = found.gap("top1_micro", ["own"])
        assert gap is not None and gap.plain.low is not None
        plain += gap.plain.low > 0
        reported += gap.verdict == DIFFERENT
    return plain / trials, reported / trials


def square_and_add(a: np.ndarray, b: np.ndarray, sizes: np.ndarray) -> tuple[float, float]:
    """Return the interval that is not used (Zou & Donner 2008), to compare with."""
    below = above = 0.0
    for h, g, n in zip(a.tolist(), b.tolist(), sizes.tolist(), strict=True):
        one, two = intervals.wilson(h, n), intervals.wilson(g, n)
        below += (h / n - one.low) ** 2 + (two.high - g / n) ** 2
        above += (one.high - h / n) ** 2 + (g / n - two.low) ** 2
    difference = float(((a - b) / sizes).mean())
    return difference - math.sqrt(below) / len(sizes), difference + math.sqrt(above) / len(sizes)


if __name__ == "__main__":
    main()
