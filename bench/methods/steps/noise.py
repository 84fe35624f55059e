"""Steps against wrong labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.search import Search
from bench.methods.registry import Needs, Param, StepInfo, register


def _sce_check(args: Mapping[str, Any]) -> str | None:
    if args["beta"] * args["log_zero"] == 0 and args["alpha"] == 0:
        return "nothing is left to minimise: alpha is 0, and so is beta or log_zero"
    return None


def _clean_check(args: Mapping[str, Any]) -> str | None:
    if args["by"] == "confident":
        return None
    if args["action"] == "relabel":
        return "a price does not say which label is right; relabel belongs to by=confident"
    return "folds belongs to by=confident, not to by=price" if args["folds"] != _FOLDS else None


def _clean_on_features(args: Mapping[str, Any]) -> bool:
    return bool(args["by"] == "confident")


_FOLDS = 5


def _clean_needs(args: Mapping[str, Any]) -> Needs:
    return ("cleanlab", "clean") if args["by"] == "confident" else ()


register(
    StepInfo(
        name="clean",
        helps="some of the training labels are wrong",
        stage="labels",
        run={"labels": "bench.methods.clean_labels:clean"},
        summary="find wrong training labels by cross-validated heads or unusual prices",
        paper="Northcutt et al. 2021, Confident learning: estimating uncertainty in dataset labels, "
        "arXiv:1911.00068",
        params=(
            Param(
                "by",
                str,
                "confident",
                "confident learning, by cross-validation, or prices far from the median of their class",
                choices=("confident", "price"),
            ),
            Param(
                "action",
                str,
                "drop",
                "leave suspects out, give them the suggested label, or weight every image's loss by the "
                "probability of its label (an odd price's by how far off it is)",
                choices=("drop", "relabel", "weight"),
            ),
            Param("folds", int, _FOLDS, "parts of the cross-validation; groups stay whole", low=2, high=50),
        ),
        on_features=_clean_on_features,
        needs=_clean_needs,
        check=_clean_check,
        traits=lambda args: ("feature_rows",) if args["action"] == "relabel" else (),
    )
)


def _with_source(args: Mapping[str, Any]) -> Mapping[str, str]:
    from bench.training.losses.own import source_of

    return {} if args["source"] else {"source": source_of(args["function"])}


register(
    StepInfo(
        name="loss",
        helps="no other loss here is the one you need",
        stage="loss",
        run={"loss": "bench.training.losses.specs:own"},
        summary="your own loss: a function of (y_true, y_pred), or a keras.losses.Loss",
        paper="Chollet et al. 2015, Keras, https://keras.io/api/losses",
        params=(
            Param("function", str, "keras.losses:CategoricalCrossentropy", "package.module:name", path=True),
            Param("labels", str, "onehot", "y_true, as (n, k) or as (n,)", choices=("onehot", "index")),
            Param("source", str, "", "digest of the file that defines it, filled in"),
        ),
        complete=_with_source,
    )
)
register(
    StepInfo(
        name="label_smoothing",
        helps="probabilities should be calibrated, or a few labels are wrong",
        stage="loss",
        run={"loss": "bench.training.losses.specs:label_smoothing"},
        summary="cross entropy that spreads epsilon of each label evenly over all classes",
        paper="Szegedy et al. 2016, Rethinking the inception architecture, arXiv:1512.00567",
        params=(
            Param(
                "epsilon",
                float,
                0.1,
                "share of the label that is spread",
                low=0.0,
                high=0.99,
                search=Search(0.02, 0.4),
            ),
        ),
    )
)
register(
    StepInfo(
        name="gce",
        helps="many training labels are wrong",
        stage="loss",
        run={"loss": "bench.training.losses.specs:gce"},
        summary="generalised cross entropy: images with apparently wrong labels count less",
        paper="Zhang and Sabuncu 2018, Generalized cross entropy loss for training deep neural networks "
        "with noisy labels, arXiv:1805.07836",
        params=(
            Param(
                "q",
                float,
                0.7,
                "near 0 is cross entropy, 1 is absolute error",
                low=0.001,
                high=1.0,
                search=Search(0.1, 0.9),
            ),
        ),
    )
)
register(
    StepInfo(
        name="sce",
        helps="many training labels are wrong",
        stage="loss",
        run={"loss": "bench.training.losses.specs:sce"},
        summary="symmetric cross entropy: adds the bounded reverse cross entropy",
        paper="Wang et al. 2019, Symmetric cross entropy for robust learning with noisy labels, "
        "arXiv:1908.06112",
        params=(
            Param(
                "alpha",
                float,
                0.1,
                "factor of cross entropy",
                low=0.0,
                high=1000.0,
                search=Search(0.01, 10.0, log=True),
            ),
            Param(
                "beta",
                float,
                1.0,
                "factor of reverse cross entropy",
                low=0.0,
                high=1000.0,
                search=Search(0.1, 10.0, log=True),
            ),
            Param(
                "log_zero",
                float,
                -4.0,
                "value of log 0, the paper's A",
                low=-100.0,
                high=0.0,
                search=Search(-8.0, -2.0),
            ),
        ),
        check=_sce_check,
    )
)
register(
    StepInfo(
        name="bootstrap",
        helps="some training labels are wrong",
        stage="loss",
        run={"loss": "bench.training.losses.specs:bootstrap"},
        summary="cross entropy against the label mixed with the model's own prediction",
        paper="Reed et al. 2015, Training deep neural networks on noisy labels with bootstrapping, "
        "arXiv:1412.6596",
        params=(
            Param(
                "beta",
                float,
                0.8,
                "share of the label; 1 is cross entropy",
                low=0.01,
                high=1.0,
                search=Search(0.5, 0.99),
            ),
            Param(
                "mode",
                str,
                "hard",
                "mix with the predicted class, or with the probabilities (the paper takes beta=0.95 there)",
                choices=("hard", "soft"),
            ),
        ),
    )
)
register(
    StepInfo(
        name="elr",
        helps="many training labels are wrong and long training memorises them",
        stage="loss",
        run={"loss": "bench.training.losses.specs:elr"},
        summary="early-learning regularisation: keep predictions close to those before labels are memorised",
        paper="Liu et al. 2020, Early-learning regularization prevents memorization of noisy labels, "
        "arXiv:2007.00151",
        params=(
            Param(
                "beta",
                float,
                0.7,
                "momentum of an image's target",
                low=0.0,
                high=0.999,
                search=Search(0.5, 0.99),
            ),
            Param(
                "lam",
                float,
                3.0,
                "strength; 0 is cross entropy",
                low=0.0,
                high=100.0,
                search=Search(0.5, 10.0, log=True),
            ),
        ),
        traits=("single_images",),
    )
)
register(
    StepInfo(
        name="co_teaching",
        helps="many training labels are wrong and you know about how many",
        stage="loss",
        run={"loss": "bench.training.losses.specs:co_teaching"},
        summary="two heads, each trained on the images that are easy for the other; predictions are averaged",
        paper="Han et al. 2018, Co-teaching: robust training of deep neural networks with extremely noisy "
        "labels, arXiv:1804.06872",
        params=(
            Param(
                "forget",
                float,
                0.2,
                "share of every minibatch that is left out in the end: how many labels you take for wrong",
                low=0.0,
                high=0.99,
                search=Search(0.02, 0.5),
            ),
            Param(
                "gradual",
                int,
                10,
                "epochs over which this share rises linearly",
                low=1,
                high=100000,
                search=Search(choices=(5, 10, 15)),
            ),
        ),
        regimes=("frozen",),
        traits=("two_heads", "single_images"),
        conflicts={"maps": "a net of convolutions has no second head"},
    )
)
