"""Steps that fill cells of attributes that are not known, or leave their rows out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.cell import Value
from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register


def _impute_check(args: Mapping[str, Any]) -> str | None:
    """Return why an argument does not belong to the chosen way."""
    owners = {
        "rank": ("mf", "leml", "fmc"),
        "l2": ("mf", "leml", "fmc"),
        "neighbours": ("knn",),
        "near": ("knn",),
        "loss": ("leml",),
        "norm": ("leml",),
    }
    for name, ways in owners.items():
        if args["by"] not in ways and args[name] != _IMPUTE_DEFAULTS[name]:
            return f"{name} belongs to by={' or by='.join(ways)}, not to by={args['by']}"
    if args["by"] == "mode" and args["hard"]:
        return "by=mode is hard already"
    return None


def _impute_on_features(args: Mapping[str, Any]) -> bool:
    return args["by"] in ("leml", "fmc") or (args["by"] == "knn" and args["near"] == "features")


_CONFLICTS = {"unknown_cells": "the loss is about unknown cells, and the other step leaves none"}

_IMPUTE_DEFAULTS: Mapping[str, Value] = {
    "rank": 8,
    "l2": "cv",
    "neighbours": 20,
    "near": "features",
    "loss": "logistic",
    "norm": "trace",
}

register(
    StepInfo(
        name="assume_negative",
        helps="an attribute that is not listed is nearly always absent",
        stage="labels",
        run={"labels": "bench.methods.imputation:assume_negative"},
        summary="treat every unknown cell as no",
        paper="Cole et al. 2021, Multi-label learning from single positive labels, arXiv:2106.09708",
        kinds=("multilabel",),
        conflicts=_CONFLICTS,
    )
)
register(
    StepInfo(
        name="drop_rows",
        helps="you want to measure the cost of leaving out incomplete rows",
        stage="labels",
        run={"labels": "bench.methods.imputation:drop_rows"},
        summary="leave out every row with an unknown cell, for comparison",
        paper="Little and Rubin 2002, Statistical analysis with missing data, chapter 3 (complete cases)",
        kinds=("multilabel",),
        conflicts=_CONFLICTS,
    )
)
register(
    StepInfo(
        name="impute",
        helps="labels are missing, and attributes are related to each other",
        stage="labels",
        run={"labels": "bench.methods.imputation:impute"},
        summary="impute unknown cells from known ones and, for some methods, from features",
        paper="mf: Koren et al. 2009, Matrix factorization techniques for recommender systems; leml: Yu et "
        "al. 2014, Large-scale multi-label learning with missing labels, arXiv:1307.5101; fmc: Agarwal and "
        "Chen 2009, Regression-based latent factor models, KDD; knn: Troyanskaya et al. 2001; iterative: van "
        "Buuren and Groothuis-Oudshoorn 2011, mice",
        params=(
            Param(
                "by",
                str,
                "mean",
                "the attribute's share of yes or commoner value; scikit-learn's iterative imputer on labels; "
                "nearest rows; low-rank models of labels alone (mf), of features (leml), of both (fmc)",
                choices=("mean", "mode", "knn", "iterative", "mf", "leml", "fmc"),
            ),
            Param(
                "rank",
                int,
                8,
                "maximum number of factors of mf, leml and fmc; attributes beyond it share",
                low=1,
                high=1000,
                search=Search(choices=(2, 4, 8, 16)),
            ),
            Param(
                "l2",
                float,
                "cv",
                "penalty of mf, leml and fmc; `cv` takes the best of 30 to 0.3 for known cells held out",
                choices=("cv",),
                low=0.000001,
                high=1000000.0,
            ),
            Param(
                "neighbours",
                int,
                20,
                "nearest rows that know the attribute (knn)",
                low=1,
                high=1000,
                search=Search(5, 80, log=True),
            ),
            Param(
                "near",
                str,
                "features",
                "what rows are compared in (knn): features, or labels as scikit-learn's KNNImputer does",
                choices=("features", "labels"),
            ),
            Param(
                "loss",
                str,
                "logistic",
                "the loss of leml over known cells",
                choices=("logistic", "squared"),
            ),
            Param(
                "norm",
                str,
                "trace",
                "what leml's penalty is of: the trace norm, or the Frobenius norm, as in ridge regression",
                choices=("trace", "frobenius"),
            ),
            Param("hard", bool, False, "train on the likelier label instead of the probability"),
        ),
        check=_impute_check,
        kinds=("multilabel",),
        conflicts=_CONFLICTS,
        on_features=_impute_on_features,
    )
)
register(
    StepInfo(
        name="self_train",
        helps="labels are missing, and the features predict them well",
        stage="labels",
        run={"labels": "bench.methods.imputation:self_train"},
        summary="impute each attribute by a logistic regression on the rows where it is known",
        paper="Lee 2013, Pseudo-label: the simple and efficient semi-supervised learning method for deep "
        "neural networks, ICML workshop",
        params=(
            Param(
                "form",
                str,
                "soft",
                "train unknown cells on the probability, or on the likelier label",
                choices=("soft", "hard"),
            ),
            Param(
                "l2",
                float,
                "cv",
                "penalty; `cv` takes the best of 10 to 0.01 for known training cells held out",
                choices=("cv",),
                low=0.000001,
                high=1000000.0,
            ),
            Param("balanced", bool, False, "known yes and no of an attribute weigh the same"),
        ),
        on_features=True,
        kinds=("multilabel",),
        conflicts=_CONFLICTS,
    )
)
