"""Steps that say what stands on a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.errors import BenchError
from bench.methods.registry import Param, StepInfo, register
from bench.models.conv import parse_filters


def _conv_check(args: Mapping[str, Any]) -> str | None:
    try:
        parse_filters(args["filters"])
    except BenchError as error:
        return str(error)
    return None


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


def _multitask_check(args: Mapping[str, Any]) -> str | None:
    return "nothing is left to minimise: main is 0" if args["main"] == 0 else None


register(
    StepInfo(
        name="multitask",
        stage="head",
        run={},
        summary="heads beside the main one learn the card's auxiliary columns on what is shared below them",
        paper="Caruana 1997, Multitask learning, Machine Learning 28",
        params=(
            Param("weight", float, 0.5, "of the loss of each auxiliary column", low=0.0, high=1000.0),
            Param("main", float, 2.0, "of the loss of the class itself", low=0.0, high=1000.0),
        ),
        check=_multitask_check,
        beside={"frozen": ("conv", "mlp")},
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
