"""Steps that say in which space pairs of photos are compared, in the order in which they are taken."""

from __future__ import annotations

from bench.methods.registry import Param, StepInfo, register

MOST_AXES = 8192

_KINDS = ("verification",)
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
    StepInfo(
        name="power",
        stage="space",
        run={},
        summary="take a power of every feature's size, its sign kept",
        paper="Perronnin, Sanchez and Mensink 2010, Improving the Fisher kernel for large-scale image "
        "classification, ECCV",
        params=(Param("exponent", float, 0.5, "0.5 is the signed root", low=0.05, high=4.0),),
        regimes=("frozen",),
        kinds=_KINDS,
        place=0,
    )
)
register(
    StepInfo(
        name="center",
        stage="space",
        run={},
        summary="take the mean of the training photos off",
        paper=_JEGOU,
        regimes=("frozen",),
        kinds=_KINDS,
        place=1,
    )
)
register(
    StepInfo(
        name="pca",
        stage="space",
        run={},
        summary="principal components of the training photos' features",
        paper="Turk and Pentland 1991, Eigenfaces for recognition, Journal of Cognitive Neuroscience 3(1)",
        params=(_AXES, _BY),
        regimes=("frozen",),
        kinds=_KINDS,
        place=2,
    )
)
register(
    StepInfo(
        name="whiten",
        stage="space",
        run={},
        summary="principal components of the training photos' features, each brought to variance one",
        paper=_JEGOU,
        params=(
            _AXES,
            Param(
                "shrink",
                float,
                0.0,
                "how far variances are drawn to their mean before their roots are divided by: 0 whitens, 1 "
                "only turns",
                low=0.0,
                high=1.0,
            ),
            _BY,
        ),
        regimes=("frozen",),
        kinds=_KINDS,
        place=2,
    )
)
register(
    StepInfo(
        name="l2",
        stage="space",
        run={},
        summary="bring every photo's features to length one",
        paper=_JEGOU,
        params=(_BY,),
        regimes=("frozen",),
        kinds=_KINDS,
        place=3,
    )
)
