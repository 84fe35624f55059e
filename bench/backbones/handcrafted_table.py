"""Table of hand-crafted image features."""

from __future__ import annotations

from bench.backbones.info import NO_WEIGHTS, BackboneInfo


def _handcrafted(name: str, summary: str, size: int, min_size: int, features: int) -> BackboneInfo:
    return BackboneInfo(
        name=name,
        family=name,
        summary=summary,
        source="handcrafted",
        builder=name,
        input_size=(size, size),
        min_size=min_size,
        preprocess="none",
        features=features,
        parameters=0,
        weights=(NO_WEIGHTS,),
        needs=("skimage", "handcrafted"),
    )


HANDCRAFTED: tuple[BackboneInfo, ...] = (
    # name, summary, input size, smallest, features
    _handcrafted(
        "hog", "histograms of oriented gradients (Dalal 2005), 12x12 cells", 96, 24, 11 * 11 * 4 * 9
    ),
    _handcrafted("lbp", "histograms of local binary patterns (Ahonen 2006), 8x8 fields", 128, 24, 8 * 8 * 59),
    _handcrafted("grey", "the image itself, grey and small: 32x32", 32, 32, 32 * 32),
)
