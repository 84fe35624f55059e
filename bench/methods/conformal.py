"""Class-conditional conformal prediction: a set of classes for each image, at a given coverage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from bench.training.linear_head import LinearHead, link


def conformal(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Choose for each class the probability from which it is in an image's prediction set.

    features, y: of the calibration part, which the head has not seen. See `set_thresholds`.
    """
    cuts = set_thresholds(link(head.link, head.logits(features)), y, float(args["alpha"]))
    return replace(head, cuts=cuts), {
        "calibrated": len(y),
        "classes_without_threshold": int((cuts == 0).sum()),
    }


def set_thresholds(scores: np.ndarray, truth: np.ndarray, alpha: float) -> np.ndarray:
    """Return the threshold of each class, (k,) float32: its prediction set is where scores reach them.

    scores: (n, k) float32 probabilities of calibration items, truth: (n,) their classes. The nonconformity of
    an item is 1 - the probability of its own class (Sadinle, Lei and Wasserman 2019, JASA 114:223); each
    class is calibrated on its own items (Mondrian: Vovk 2012, Conditional validity of inductive conformal
    predictors, arXiv:1209.2673). With m items of a class, the set of a new item of this class, exchangeable
    with them, has the class with a probability of at least 1 - alpha: the threshold is the j-th lowest
    probability, j = floor(alpha (m + 1)). With m < 1 / alpha - 1 it is 0: no finite nonconformity is high
    enough, and the class is in every set.
    """
    cuts = np.zeros(scores.shape[1], np.float32)
    for label in range(scores.shape[1]):
        own = np.sort(scores[truth == label, label])
        # 0.07 * 100 is 7.000000000000001, and 0.29 * 100 is 28.999999999999996.
        if rank := math.floor(alpha * (len(own) + 1) + 1e-9):
            cuts[label] = own[rank - 1]
    return cuts


def alpha_of(cell: Mapping[str, Any]) -> float | None:
    """Return the alpha of a stored cell's identity, None if its method has no such step."""
    for step in cell["method"]:
        if isinstance(step, list) and len(step) == 2 and step[0] == "conformal" and isinstance(step[1], dict):
            alpha = step[1].get("alpha")
            return alpha if isinstance(alpha, float) and 0 < alpha < 1 else None
    return None
