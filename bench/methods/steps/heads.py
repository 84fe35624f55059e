"""Steps that define the head on a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.errors import BenchError
from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register
from bench.training.nets.conv_head import parse_filters


def _conv_check(args: Mapping[str, Any]) -> str | None:
    try:
        parse_filters(args["filters"])
    except BenchError as error:
        return str(error)
    return None


register(
    StepInfo(
        name="conv",
        helps="positions in the image matter",
        stage="head",
        run={},
        summary="3x3 convolutions on the backbone's last feature map, averaged, before the linear layer",
        paper="Lin et al. 2014, Network in network, arXiv:1312.4400 (averaging a last convolution's maps)",
        params=(Param("filters", str, "64", "filters of each convolution, joined by '-': 64 or 64-32"),),
        regimes=("frozen",),
        kinds=("multiclass", "multilabel"),
        check=_conv_check,
        traits=("hidden_layer", "maps"),
        conflicts={
            "pooled_views": "views are made of pooled features",
            "feature_rows": "{other} makes rows of features, and conv works on maps of real images",
        },
        shape=lambda args: {"filters": parse_filters(args["filters"])},
    )
)


def _multitask_check(args: Mapping[str, Any]) -> str | None:
    return "nothing is left to minimise: main is 0" if args["main"] == 0 else None


register(
    StepInfo(
        name="multitask",
        helps="the data has further columns that are related to the label",
        stage="head",
        run={},
        summary="additional heads learn the card's auxiliary columns on shared layers",
        paper="Caruana 1997, Multitask learning, Machine Learning 28",
        params=(
            Param(
                "weight",
                float,
                0.5,
                "of the loss of each auxiliary column",
                low=0.0,
                high=1000.0,
                search=Search(0.05, 2.0, log=True),
            ),
            Param("main", float, 2.0, "of the loss of the class itself", low=0.0, high=1000.0),
        ),
        check=_multitask_check,
        # The heads share the hidden layer.
        shares_stage=True,
        conflicts={"two_heads": "{other} has two heads of its own"},
        shape=lambda args: {"shared": (float(args["main"]), float(args["weight"]))},
        beside={"frozen": ("conv", "mlp")},
    )
)
register(
    StepInfo(
        name="mlp",
        helps="classes are not linearly separable by the features, and images are many",
        stage="head",
        run={},
        summary="a hidden ReLU layer before the linear one",
        paper="Rumelhart, Hinton and Williams 1986, Learning representations by back-propagating errors, "
        "Nature 323",
        params=(
            Param(
                "units",
                int,
                64,
                "of the hidden layer",
                low=1,
                high=8192,
                search=Search(choices=(16, 32, 64, 128, 256)),
            ),
        ),
        regimes=("frozen",),
        kinds=("multiclass", "multilabel"),
        traits=("hidden_layer",),
        shape=lambda args: {"units": int(args["units"])},
    )
)
