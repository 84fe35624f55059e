"""Steps that change the images that are trained on, alone or in pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.methods.minority import MINORITY
from bench.methods.registry import Param, StepInfo, register
from bench.models.augment import RECIPES

SHORTEN = (
    "Shorten and Khoshgoftaar 2019, A survey on image data augmentation for deep learning, Journal of Big "
    "Data 6(60)"
)
STRENGTH = Param(
    "strength", float, 0.5, "how far images are changed, up to 1; flip has none", low=0.01, high=1.0
)
_VIEWS = Param(
    "views",
    int,
    4,
    "frozen: changed versions of each training image; nets change them anew in every epoch",
    low=1,
    high=64,
)
_CLASSES = Param(
    "classes",
    str,
    "all",
    "whose images; minority classes are those with fewer training images than the mean (attributes: images "
    "with one that fewer have than the mean)",
    choices=("all", MINORITY),
)
_NETS = ("scratch", "finetune")


def flip_check(args: Mapping[str, Any]) -> str | None:
    """Say why a recipe is not changed by a strength."""
    if args["recipe"] == "flip" and args["strength"] != STRENGTH.default:
        return "flip has no strength"
    return None


def _augment_unfit(args: Mapping[str, Any], regime: str) -> str | None:
    if regime != "frozen" and args["views"] != _VIEWS.default:
        return f"changes images anew in every epoch in regime {regime}; views is for the frozen one"
    return None


def _pasting_unfit(args: Mapping[str, Any], regime: str) -> str | None:
    if regime == "frozen":
        return "pastes pixels; the frozen regime keeps features of whole images, into which nothing is pasted"
    return None


def _alpha(default: float, low: str) -> Param:
    text = f"of the Beta distribution of shares: near 0 {low}, 1 is any share alike"
    return Param("alpha", float, default, text, low=0.01, high=100.0)


def _share(default: float) -> Param:
    return Param("share", float, default, "of the images get a patch", low=0.01, high=1.0)


register(
    StepInfo(
        name="augment",
        stage="augment",
        run={},
        summary="train on changed images, by keras-cv layers (frozen: on views besides the image itself)",
        paper=SHORTEN,
        params=(
            Param(
                "recipe",
                str,
                "standard",
                "flip (left to right, never upside down), crop, colour, rotate; standard is flip, crop and "
                "colour; randaug is RandAugment",
                choices=tuple(RECIPES),
            ),
            _VIEWS,
            STRENGTH,
            _CLASSES,
        ),
        kinds=("multiclass", "multilabel"),
        check=flip_check,
        unfit=_augment_unfit,
    )
)
register(
    StepInfo(
        name="mixup",
        stage="mix",
        run={},
        summary="train on pairs of images (frozen: of their features) blended into one, against both labels",
        paper="Zhang et al. 2018, mixup: beyond empirical risk minimization, arXiv:1710.09412",
        params=(_alpha(0.2, "hardly blends"), _CLASSES),
        kinds=("multiclass", "multilabel"),
    )
)
register(
    StepInfo(
        name="cutmix",
        stage="mix",
        run={},
        summary="paste a patch of another image of the minibatch, against both labels by their areas",
        paper="Yun et al. 2019, CutMix: regularization strategy to train strong classifiers with localizable "
        "features, arXiv:1905.04899",
        params=(_alpha(1.0, "takes next to nothing or all"), _share(1.0), _CLASSES),
        regimes=_NETS,
        unfit=_pasting_unfit,
    )
)
register(
    StepInfo(
        name="cmo",
        stage="mix",
        run={},
        summary="paste a patch of an image of a rare class into others, against both labels by their areas",
        paper="Park et al. 2022, The majority can help the minority: context-rich minority oversampling for "
        "long-tailed classification, arXiv:2112.00412",
        params=(
            _alpha(1.0, "takes next to nothing or all"),
            _share(0.5),
            Param(
                "power",
                float,
                1.0,
                "patches are of images drawn by count ** -power of their class; 1 is all classes alike",
                low=0.0,
                high=5.0,
            ),
        ),
        regimes=_NETS,
        unfit=_pasting_unfit,
    )
)
