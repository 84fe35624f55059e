"""Table of backbones that read titles instead of images."""

from __future__ import annotations

from bench.backbones.info import NO_WEIGHTS, BackboneInfo

MAX_FEATURES = 2048
"""Maximum number of unigrams and bigrams."""

GRU_UNITS = 64


def _titles(name: str, summary: str, features: int, weights: str, regime: str) -> BackboneInfo:
    """Return a row; images are decoded at its input_size to find unreadable ones."""
    return BackboneInfo(
        name=name,
        family="titles",
        summary=summary,
        source="titles",
        builder=name,
        input_size=(32, 32),
        min_size=1,
        preprocess="none",
        features=features,
        parameters=0,
        weights=(weights,),
        regime=regime,
        reads="titles",
    )


TITLES: tuple[BackboneInfo, ...] = (
    # name, summary, features, weights, regime
    _titles(
        "tfidf",
        f"titles: tf-idf of up to {MAX_FEATURES} words and pairs of words of the training titles",
        MAX_FEATURES,
        NO_WEIGHTS,
        "frozen",
    ),
    _titles(
        "gru",
        "titles: an embedding of each word and a GRU (Cho 2014), trained from scratch",
        GRU_UNITS,
        "random",
        "scratch",
    ),
)
