"""What one seed of ten folds of pairs costs: processor time and memory.

    python -m benchmarks.view2 [--method "whiten(dims=100)+l2+joint_bayes"] [--seeds 1]

Drawn features of the shape that View 2 of Labeled Faces in the Wild has with the faces task's `aligned`
protocol: 7,700 photos x 8,192 features, ten folds of 300 same and 300 different pairs, no person in two
folds. Every fold is fitted twice: without its validation people while choices are made, then on all of its
training pairs. Goals: at most 150 processor seconds a seed, and 2 GB.
"""

from __future__ import annotations

import argparse
import resource
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from bench.core.cell import Cell, DataId
from bench.core.environment import quiet
from bench.core.protocol import resolve
from bench.kinds.verification.arrays import Fold, PairArrays, PairSplit
from bench.kinds.verification.held_out import hold_out_listed
from bench.methods.grammar import parse_method

FOLDS, PAIRS, PEOPLE, WIDTH = 10, 300, 385, 8192
VALIDATION = 0.15


@dataclass(frozen=True)
class Drawn:
    """Photos and pairs. features: a file. person: who is on each photo. of: the fold of each pair."""

    features: np.ndarray
    person: np.ndarray
    pairs: PairArrays
    of: np.ndarray


def draw(folder: Path) -> Drawn:
    """Draw two photos of each person: what they share, and what differs, along axes whose variances fall."""
    rng = np.random.default_rng(0)
    person = np.repeat(np.arange(FOLDS * PEOPLE), 2)
    axes = rng.normal(size=(400, WIDTH)).astype(np.float32) / np.sqrt(WIDTH)
    fall = np.arange(1, 401, dtype=np.float32) ** -0.5
    who, other = (rng.normal(size=(count, 400)).astype(np.float32) for count in (FOLDS * PEOPLE, len(person)))
    path = folder / "features.npy"
    features = np.lib.format.open_memmap(path, "w+", np.float32, (len(person), WIDTH))
    for start in range(0, len(person), 512):
        part = slice(start, start + 512)
        noise = rng.normal(size=(len(person[part]), WIDTH)).astype(np.float32) * np.float32(0.002)
        features[part] = np.maximum(((who[person[part]] + other[part]) * fall) @ axes + noise, 0)
    features.flush()
    first, second, same = [], [], []
    for fold in range(FOLDS):
        one = fold * PEOPLE + rng.permutation(PEOPLE)
        shift = np.roll(one, 1)[:PAIRS]
        first += [2 * one[:PAIRS], 2 * one[:PAIRS]]
        second += [2 * one[:PAIRS] + 1, 2 * shift + 1]
        same += [np.ones(PAIRS, bool), np.zeros(PAIRS, bool)]
    pairs = PairArrays(*(np.concatenate(part) for part in (first, second, same)))
    return Drawn(np.load(path, mmap_mode="r"), person, pairs, np.repeat(np.arange(FOLDS), 2 * PAIRS))


def split(drawn: Drawn, seed: int) -> PairSplit:
    """Cut the pairs into ten folds as the task does."""
    folds = []
    for fold in range(FOLDS):
        every, test = drawn.pairs.take(drawn.of != fold), drawn.pairs.take(drawn.of == fold)
        held = hold_out_listed(
            drawn.person[every.first], drawn.person[every.second], VALIDATION, seed * 10 + fold
        )
        held = np.concatenate([held, np.zeros(FOLDS * PEOPLE - len(held), bool)])
        one, two = held[drawn.person[every.first]], held[drawn.person[every.second]]
        train, val = every.take(~one & ~two), every.take(one & two)
        rows = [np.unique(np.concatenate([own.first, own.second])) for own in (train, val, every)]
        folds.append(Fold(train, val, test, rows[0], rows[1], every, rows[2]))
    return PairSplit(tuple(map(str, drawn.person)), tuple(folds), 0)


def main() -> None:
    """Print processor seconds for each seed, the accuracy, and the most memory that was held."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--method", default="whiten(dims=100)+l2+joint_bayes")
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    quiet()
    from bench.kinds.verification.frozen import FrozenPairs
    from bench.kinds.verification.runner import match_cells

    with tempfile.TemporaryDirectory() as name:
        drawn = draw(Path(name))
        setting = resolve({"refit": True, "lr": 1e-3, "epochs": 100})
        inputs = SimpleNamespace(features=drawn.features)
        trainer = FrozenPairs(inputs, [str(one) for one in drawn.person], lambda *_: None)
        print(
            f"{len(drawn.person)} photos x {WIDTH} features, {len(drawn.pairs)} pairs, {asked.method}",
            flush=True,
        )
        for seed in range(asked.seeds):
            data = DataId("drawn", "0" * 64)
            method = parse_method(asked.method)
            cell = Cell(
                "faces", 1, "verification", "all", "frozen", "drawn", "random", method, seed, setting, data
            )
            folds = split(drawn, seed)
            began, clock = time.process_time(), time.perf_counter()
            ((_, answers),) = match_cells(trainer, [cell], {seed: folds})
            assert not isinstance(answers, str), answers
            right = [
                float(((one.test >= one.cut) == fold.test.same).mean())
                for one, fold in zip(answers, folds.folds, strict=True)
                if one.test is not None
            ]
            print(
                f"seed {seed}: {time.process_time() - began:.0f} s of processor time, "
                f"{time.perf_counter() - clock:.0f} s; accuracy {np.mean(right):.3f}; peak "
                f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB",
                flush=True,
            )


if __name__ == "__main__":
    main()
