"""Steps of the space in which pairs of photos are compared, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register

MOST_AXES = 8192

_ON_FEATURES = {"compares_pixels": "{other} compares pixels, not features"}
_space = partial(
    StepInfo,
    stage="space",
    run={},
    regimes=("frozen",),
    kinds=("verification",),
    shares_stage=True,
    conflicts=_ON_FEATURES,
)


def _axes_traits(args: Mapping[str, Any]) -> tuple[str, ...]:
    return ("principal_axes", "axes_of_all_parts") if args["by"] == "all" else ("principal_axes",)


_JEGOU = (
    "Jegou and Chum 2012, Negative evidences and co-occurences in image retrieval: the benefit of PCA and "
    "whitening, ECCV"
)
_BY = Param(
    "by",
    str,
    "all",
    "all features together, or every part of a joined backbone on its own",
    choices=("all", "part"),
)
_AXES = Param(
    "dims",
    int,
    "auto",
    "principal axes that are kept, at most one for each feature and fewer than training photos; auto: 32, "
    "64, 128 or 256, by the ROC area on validation pairs",
    choices=("auto",),
    low=1,
    high=MOST_AXES,
)

register(
    _space(
        name="power",
        helps="a few large features decide the comparison",
        summary="take a power of every feature's size, its sign kept",
        paper="Perronnin, Sanchez and Mensink 2010, Improving the Fisher kernel for large-scale image "
        "classification, ECCV",
        params=(
            Param(
                "exponent", float, 0.5, "0.5 is the signed root", low=0.05, high=4.0, search=Search(0.25, 1.0)
            ),
        ),
        place=0,
    )
)
register(
    _space(
        name="center",
        helps="all photos have a large part of their features in common",
        summary="take the mean of the training photos off",
        paper=_JEGOU,
        place=1,
    )
)
register(
    _space(
        name="pca",
        helps="many features are noise",
        summary="principal components of the training photos' features",
        paper="Turk and Pentland 1991, Eigenfaces for recognition, Journal of Cognitive Neuroscience 3(1)",
        params=(_AXES, _BY),
        traits=_axes_traits,
        conflicts={**_ON_FEATURES, "whiten": "whiten is pca and then one scale for all axes"},
        place=2,
    )
)
register(
    _space(
        name="whiten",
        helps="features are correlated, and a few vary much more than the rest",
        summary="principal components of the training photos' features, each brought to variance one",
        paper=_JEGOU,
        params=(
            _AXES,
            Param(
                "shrink",
                float,
                0.0,
                "shrinkage of the variances towards their mean: 0 whitens, 1 only rotates",
                low=0.0,
                high=1.0,
                search=Search(0.0, 0.9),
            ),
            _BY,
        ),
        traits=_axes_traits,
        place=2,
    )
)
register(
    _space(
        name="l2",
        helps="the length of a photo's features says nothing about the person",
        summary="bring every photo's features to length one",
        paper=_JEGOU,
        params=(_BY,),
        place=3,
    )
)
