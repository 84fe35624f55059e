"""Multinomial naive Bayes on the words of titles, as a linear head."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from bench.methods.decoupled import NEVER
from bench.methods.registry import LinearHead
from bench.text.tfidf import LENGTH


def naive_bayes(
    args: Mapping[str, Any], head: LinearHead, features: np.ndarray, y: np.ndarray, counts: np.ndarray
) -> tuple[LinearHead, dict[str, Any]]:
    """Replace the head by multinomial naive Bayes; what the head learned is not used.

    features: (n, d) tf-idf rows of the training titles, LENGTH times as long as they are counted; y: (n,)
    their classes. The logits are ln P(class) + x ln P(term | class), P(term | class) being the class's share
    of the term with `alpha` added to every count (McCallum and Nigam 1998; scikit-learn's MultinomialNB). A
    class without rows is never answered.
    """
    width, k = head.kernel.shape
    sizes = np.bincount(y, minlength=k)
    sums = np.zeros((k, width))
    # What is below zero is no count: no row of titles has any.
    np.add.at(sums, y, np.maximum(features, 0.0).astype(np.float64) / LENGTH)
    sums += float(args["alpha"])
    kernel = (np.log(sums) - np.log(sums.sum(axis=1, keepdims=True))) / LENGTH
    prior = np.log(np.maximum(sizes, 1) / max(int(sizes.sum()), 1))
    bias = np.where(sizes > 0, prior if args["prior"] == "counts" else 0.0, NEVER)
    return LinearHead(kernel.T.astype(np.float32), bias.astype(np.float32)), {}
