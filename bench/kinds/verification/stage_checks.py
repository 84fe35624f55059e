"""Checks of the data of a stage of pairs, made before its cells are trained and stored with each."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.kinds.verification.arrays import PairSplit
from bench.kinds.verification.frozen import FrozenPairs
from bench.kinds.verification.siamese_nets import NetPairs
from bench.metrics.curves import areas
from bench.runs.signal_check import MAX_ROWS, PERMUTATIONS, Signal, summarise
from bench.training.standardize import mean_and_deviation


def check_pairs(trainer: FrozenPairs | NetPairs, split: PairSplit) -> dict[str, Any]:
    """Return the permutation check of the first fold's training pairs, where features are frozen."""
    if not isinstance(trainer, FrozenPairs):
        return {}
    pairs = split.folds[0].all_train
    rows, places = np.unique(np.concatenate([pairs.first, pairs.second]), return_inverse=True)
    features = np.asarray(trainer.inputs.features[rows], np.float32)
    mean, deviation = mean_and_deviation(features)
    first, second = np.split(places, 2)
    signal = pair_signal((features - mean) / deviation, first, second, pairs.same)
    return {} if signal is None else {"signal": signal.to_json()}


def pair_signal(
    features: np.ndarray,
    first: np.ndarray,
    second: np.ndarray,
    same: np.ndarray,
    permutations: int = PERMUTATIONS,
    seed: int = 0,
) -> Signal | None:
    """Test whether photos of one person are more alike than photos of two; None without both kinds of pairs.

    features: (n, d) float32, standardised. first, second: (m,) rows of the photos of each pair. same: (m,)
    bool. Likeness is the cosine. Photos are dealt out to the places that they have in the pairs at random,
    pairs stay as they are: a photo that is in many pairs weighs as much in every permutation (the quadratic
    assignment procedure, Hubert and Schultz 1976, British Journal of Mathematical and Statistical Psychology
    29). At most MAX_ROWS pairs are looked at.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(same))[:MAX_ROWS])
    first, second, same = first[chosen], second[chosen], same[chosen]
    if not same.any() or same.all():
        return None
    photos, places = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, other = np.split(places, 2)
    x = np.asarray(features[photos], np.float32)
    x = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    orders = [np.arange(len(x)), *(rng.permutation(len(x)) for _ in range(permutations))]
    scores = np.stack([np.einsum("ij,ij->i", x[order[one]], x[order[other]]) for order in orders], axis=1)
    truth = np.repeat(same.astype(np.int32)[:, None], len(orders), axis=1)
    found = areas(scores, truth, np.ones((1, len(same)), np.float32))[0].reshape(-1)
    return summarise(found, {}, len(same), permutations)
