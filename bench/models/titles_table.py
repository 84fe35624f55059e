"""Backbones that read titles instead of images, as a table."""

from __future__ import annotations

from bench.models.backbone_info import NO_WEIGHTS, BackboneInfo

MOST_TERMS = 2048
"""Words and pairs of words that titles are encoded by, at most."""

GRU_UNITS = 64

TITLES: tuple[BackboneInfo, ...] = (
    BackboneInfo(
        name="tfidf",
        family="titles",
        summary=f"titles: tf-idf of up to {MOST_TERMS} words and pairs of words of the training titles",
        source="titles",
        builder="tfidf",
        input_size=(32, 32),
        min_size=1,
        preprocess="none",
        features=MOST_TERMS,
        parameters=0,
        weights=(NO_WEIGHTS,),
        reads="titles",
    ),
    BackboneInfo(
        name="gru",
        family="titles",
        summary="titles: an embedding of each word and a GRU (Cho 2014), trained from scratch",
        source="titles",
        builder="gru",
        input_size=(32, 32),
        min_size=1,
        preprocess="none",
        features=GRU_UNITS,
        parameters=0,
        weights=("random",),
        regime="scratch",
        reads="titles",
    ),
)
"""Their input_size is only that at which images are looked at to see whether they can be read."""
