"""Steps that say what stands on a frozen backbone, and what it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import BenchError
from bench.methods.registry import Param, StepInfo, register
from bench.models.augment import RECIPES
from bench.models.conv import parse_filters

_STRENGTH = Param(
    "strength", float, 0.5, "how far images are changed, up to 1; flip has none", low=0.01, high=1.0
)


def _augment_check(args: Mapping[str, Any]) -> str | None:
    if args["recipe"] == "flip" and args["strength"] != _STRENGTH.default:
        return "flip has no strength"
    return None


def _conv_check(args: Mapping[str, Any]) -> str | None:
    try:
        parse_filters(args["filters"])
    except BenchError as error:
        return str(error)
    return None


register(
    StepInfo(
        name="augment",
        stage="augment",
        run={},
        summary="train on changed views of each image besides the image itself, changed by keras-cv layers",
        paper="Shorten and Khoshgoftaar 2019, A survey on image data augmentation for deep learning, "
        "Journal of Big Data 6(60)",
        params=(
            Param(
                "recipe",
                str,
                "standard",
                "flip (left to right, never upside down), crop, colour, rotate; standard is flip, crop and "
                "colour; randaug is RandAugment",
                choices=tuple(RECIPES),
            ),
            Param("views", int, 4, "changed versions of each training image", low=1, high=64),
            _STRENGTH,
        ),
        regimes=("frozen",),
        kinds=("multiclass", "multilabel"),
        on_features=True,
        check=_augment_check,
    )
)
register(
    StepInfo(
        name="conv",
        stage="head",
        run={},
        summary="3x3 convolutions on the backbone's last feature map, averaged, before the linear layer",
        paper="Lin et al. 2014, Network in network, arXiv:1312.4400 (averaging a last convolution's maps)",
        params=(Param("filters", str, "64", "filters of each convolution, joined by '-': 64 or 64-32"),),
        regimes=("frozen",),
        kinds=("multiclass", "multilabel"),
        check=_conv_check,
    )
)
register(
    StepInfo(
        name="mlp",
        stage="head",
        run={},
        summary="a hidden layer with ReLU before the linear one",
        paper="Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors, "
        "Nature 323",
        params=(Param("units", int, 64, "of the hidden layer", low=1, high=8192),),
        regimes=("frozen",),
        kinds=("multiclass", "multilabel"),
    )
)
