"""Steps against imbalance of classes, some of them for attributes too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register


def _adjust_stage(args: Mapping[str, Any]) -> str:
    return str(args["form"])


def _adjust_check(args: Mapping[str, Any]) -> str | None:
    if args["tau"] == "auto" and args["form"] != "posthoc":
        return "tau=auto is chosen on validation after training: add form=posthoc"
    return None


def _balanced_check(args: Mapping[str, Any]) -> str | None:
    if args["loss"] != "focal" and args["gamma"] != _GAMMA.default:
        return f"gamma belongs to loss=focal, not to loss={args['loss']}"
    return None


def _ldam_brings(args: Mapping[str, Any]) -> Mapping[str, str]:
    return {"weight": "bench.methods.class_weights:deferred"} if args["drw"] else {}


def _ldam_check(args: Mapping[str, Any]) -> str | None:
    if not args["drw"] and args["late"] != _LATE:
        return "late says when classes are re-weighted, which drw=false leaves out"
    return None


_LATE = 0.2
_GAMMA = Param(
    "gamma",
    float,
    2.0,
    "focusing parameter; 0 is cross entropy",
    low=0.0,
    high=20.0,
    search=Search(0.5, 5.0),
)
_RAISE_TO = Param(
    "target",
    str,
    "max",
    "smaller classes grow to this size: that of the largest, the median or the mean class",
    choices=("max", "median", "mean"),
)

register(
    StepInfo(
        name="oversample",
        helps="classes differ in size and small ones count as much as large ones (macro metrics)",
        stage="sampling",
        run={"sampling": "bench.methods.sampling:oversample"},
        summary="repeat images of small classes, of rare combinations of attributes, at random",
        paper="Buda et al. 2018, A systematic study of the class imbalance problem, arXiv:1710.05381",
        params=(_RAISE_TO,),
        kinds=("multiclass", "multilabel"),
    )
)
register(
    StepInfo(
        name="undersample",
        helps="large classes have many redundant images",
        stage="sampling",
        run={"sampling": "bench.methods.sampling:undersample"},
        summary="leave out images of large classes, of frequent combinations of attributes, at random",
        paper="Buda et al. 2018, A systematic study of the class imbalance problem, arXiv:1710.05381",
        params=(
            Param(
                "target",
                str,
                "min",
                "classes larger than the smallest, the median or the mean class size shrink to it; "
                "with a long tail `min` leaves next to nothing",
                choices=("min", "median", "mean"),
            ),
        ),
        kinds=("multiclass", "multilabel"),
    )
)
register(
    StepInfo(
        name="smote",
        helps="small classes have a few dozen images",
        stage="sampling",
        run={"sampling": "bench.methods.sampling:smote"},
        summary="add synthetic feature rows between neighbours of a small class",
        paper="Chawla et al. 2002, SMOTE: synthetic minority over-sampling technique, arXiv:1106.1813",
        traits=("feature_rows",),
        params=(
            Param(
                "k",
                int,
                5,
                "number of neighbours; a class of n <= k rows uses n - 1",
                low=1,
                high=100,
                search=Search(choices=(1, 3, 5, 7, 10)),
            ),
            _RAISE_TO,
        ),
        regimes=("frozen",),
        on_features=True,
    )
)
register(
    StepInfo(
        name="class_weight",
        helps="classes differ in size and small ones count as much as large ones (macro metrics)",
        stage="weight",
        run={"weight": "bench.methods.class_weights:class_weight"},
        summary="weight each image's loss by the inverse size of its class, an attribute's yes and no too",
        paper="King and Zeng 2001, Logistic regression in rare events data, Political Analysis 9(2)",
        params=(
            Param(
                "scheme",
                str,
                "balanced",
                "n / (classes x count), 1 / count, or largest count / count; they differ in scale alone, "
                "which the weighted mean over a batch divides out again",
                choices=("balanced", "inverse", "max_over_count"),
            ),
        ),
        kinds=("multiclass", "multilabel"),
    )
)
register(
    StepInfo(
        name="focal",
        helps="most images are easy, and the few hard ones matter",
        stage="loss",
        run={"loss": "bench.training.losses.specs:focal"},
        summary="focal loss, on softmax probabilities or per attribute: easy images count less",
        paper="Lin et al. 2017, Focal loss for dense object detection, arXiv:1708.02002",
        params=(
            _GAMMA,
            Param(
                "alpha",
                float,
                1.0,
                "factor of the whole loss; Keras's default of 0.25 scales the loss to a quarter",
                low=0.001,
                high=1000.0,
            ),
        ),
        kinds=("multiclass", "multilabel"),
    )
)
register(
    StepInfo(
        name="class_balanced",
        helps="classes differ in size by orders of magnitude",
        stage="loss",
        run={"loss": "bench.training.losses.specs:class_balanced"},
        also={"weight": "bench.methods.class_weights:class_balanced"},
        summary="weight classes by their effective number of images",
        paper="Cui et al. 2019, Class-balanced loss based on effective number of samples, arXiv:1901.05555",
        params=(
            Param(
                "beta",
                float,
                0.9999,
                "0 weights nothing, 1 is the inverse count",
                low=0.0,
                high=1.0,
                search=Search(choices=(0.9, 0.99, 0.999, 0.9999)),
            ),
            Param(
                "loss",
                str,
                "softmax",
                "the loss that is weighted; sigmoid and focal are one-vs-rest, their bias starts at "
                "-log(classes - 1)",
                choices=("softmax", "sigmoid", "focal"),
            ),
            _GAMMA,
        ),
        check=_balanced_check,
    )
)
register(
    StepInfo(
        name="balanced_softmax",
        helps="classes differ in size in training but count alike in the test (macro metrics)",
        stage="loss",
        run={"loss": "bench.training.losses.specs:balanced_softmax"},
        summary="add log class counts to the logits while training",
        paper="Ren et al. 2020, Balanced meta-softmax for long-tailed visual recognition, arXiv:2007.10740",
    )
)
register(
    StepInfo(
        name="logit_adjust",
        helps="classes differ in size in training but count alike in the test (macro metrics)",
        stage=_adjust_stage,
        run={
            "loss": "bench.training.losses.specs:logit_adjust",
            "posthoc": "bench.methods.posthoc:logit_adjust",
        },
        summary="add tau x log prior to the logits while training, or subtract it afterwards",
        paper="Menon et al. 2021, Long-tail learning via logit adjustment, arXiv:2007.07314",
        params=(
            Param(
                "tau",
                float,
                1.0,
                "strength; `auto` takes the best of 0 to 2 on validation (form=posthoc)",
                choices=("auto",),
                low=0.0,
                high=10.0,
                search=Search(0.25, 2.0),
            ),
            Param("form", str, "loss", "adjust the loss, or the trained head", choices=("loss", "posthoc")),
        ),
        check=_adjust_check,
    )
)
register(
    StepInfo(
        name="ldam",
        helps="there is a long tail of very small classes",
        stage="loss",
        run={"loss": "bench.training.losses.specs:ldam"},
        also=_ldam_brings,
        summary="a cosine head with larger margins for smaller classes, re-weighted in the last epochs",
        paper="Cao et al. 2019, Learning imbalanced datasets with label-distribution-aware margin loss, "
        "arXiv:1906.07413",
        params=(
            Param(
                "margin",
                float,
                0.5,
                "of the smallest class, in cosine; the others' fall with the fourth root of their size",
                low=0.0,
                high=2.0,
                search=Search(0.1, 1.0),
            ),
            Param(
                "scale",
                float,
                30.0,
                "scale of the cosines",
                low=0.1,
                high=1000.0,
                search=Search(5.0, 60.0, log=True),
            ),
            Param(
                "drw",
                bool,
                True,
                "deferred class weights, class_balanced(beta=.9999); the best epoch is one of these",
            ),
            Param(
                "late",
                float,
                _LATE,
                "share of the last epochs that drw weights",
                low=0.01,
                high=1.0,
                search=Search(0.1, 0.5),
            ),
        ),
        check=_ldam_check,
        conflicts={
            "kernel_norms": "the kernels of its cosines are all of one length already",
            "unscaled_rows": "its head scales whole rows to length one, and {other} trains on parts of them",
        },
    )
)
