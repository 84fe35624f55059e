"""Steps against imbalance of classes, some of them for attributes too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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
    return {"weight": "bench.methods.weights:deferred"} if args["drw"] else {}


def _ldam_check(args: Mapping[str, Any]) -> str | None:
    if not args["drw"] and args["late"] != _LATE:
        return "late says when classes are re-weighted, which drw=false leaves out"
    return None


_LATE = 0.2
_GAMMA = Param("gamma", float, 2.0, "how much less easy images count; 0 is cross entropy", low=0.0, high=20.0)
_RAISE_TO = Param(
    "target",
    str,
    "max",
    "classes smaller than the largest, the median or the mean class size grow to it",
    choices=("max", "median", "mean"),
)

register(
    StepInfo(
        name="oversample",
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
        stage="sampling",
        run={"sampling": "bench.methods.sampling:smote"},
        summary="add synthetic feature rows between neighbours of a small class",
        paper="Chawla et al. 2002, SMOTE: synthetic minority over-sampling technique, arXiv:1106.1813",
        params=(
            Param("k", int, 5, "neighbours to draw from; a class of n <= k rows uses n - 1", low=1, high=100),
            _RAISE_TO,
        ),
        regimes=("frozen",),
        on_features=True,
    )
)
register(
    StepInfo(
        name="class_weight",
        stage="weight",
        run={"weight": "bench.methods.weights:class_weight"},
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
        stage="loss",
        run={"loss": "bench.methods.losses:focal"},
        summary="focal loss, on softmax probabilities or attribute by attribute: easy images count less",
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
        stage="loss",
        run={"loss": "bench.methods.losses:class_balanced"},
        also={"weight": "bench.methods.weights:class_balanced"},
        summary="weight classes by their effective number of images",
        paper="Cui et al. 2019, Class-balanced loss based on effective number of samples, arXiv:1901.05555",
        params=(
            Param("beta", float, 0.9999, "0 weights nothing, 1 is the inverse count", low=0.0, high=1.0),
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
        stage="loss",
        run={"loss": "bench.methods.losses:balanced_softmax"},
        summary="add log class counts to the logits while training",
        paper="Ren et al. 2020, Balanced meta-softmax for long-tailed visual recognition, arXiv:2007.10740",
    )
)
register(
    StepInfo(
        name="logit_adjust",
        stage=_adjust_stage,
        run={"loss": "bench.methods.losses:logit_adjust", "posthoc": "bench.methods.posthoc:logit_adjust"},
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
            ),
            Param("form", str, "loss", "adjust the loss, or the trained head", choices=("loss", "posthoc")),
        ),
        check=_adjust_check,
    )
)
register(
    StepInfo(
        name="ldam",
        stage="loss",
        run={"loss": "bench.methods.losses:ldam"},
        also=_ldam_brings,
        summary="a head of cosines, with larger margins for smaller classes, re-weighted in the last epochs",
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
            ),
            Param("scale", float, 30.0, "what cosines are multiplied by", low=0.1, high=1000.0),
            Param(
                "drw",
                bool,
                True,
                "weight classes as class_balanced(beta=.9999) does, but late; the best epoch is one of these",
            ),
            Param(
                "late",
                float,
                _LATE,
                "share of the epochs, the last ones, that drw weights",
                low=0.01,
                high=1.0,
            ),
        ),
        check=_ldam_check,
    )
)
register(
    StepInfo(
        name="tau_norm",
        stage="posthoc",
        run={"posthoc": "bench.methods.posthoc:tau_norm"},
        summary="divide each class's kernel by its norm to the power tau and drop the bias",
        paper="Kang et al. 2020, Decoupling representation and classifier, arXiv:1910.09217",
        params=(
            Param(
                "tau",
                float,
                "auto",
                "0 keeps the kernel, 1 gives every class the same norm; `auto` takes the best of 0 to 1 on "
                "validation",
                choices=("auto",),
                low=0.0,
                high=10.0,
            ),
        ),
    )
)
register(
    StepInfo(
        name="ncm",
        stage="posthoc",
        run={"posthoc": "bench.methods.decoupled:ncm"},
        summary="answer the class whose mean training feature is nearest, instead of what the head learned",
        paper="Kang et al. 2020, Decoupling representation and classifier, arXiv:1910.09217; Mensink et al. "
        "2013, Distance-based image classification: generalizing to new classes at near-zero cost",
        params=(
            Param(
                "by",
                str,
                "euclidean",
                "the squared distance, or the cosine, to the mean",
                choices=("euclidean", "cosine"),
            ),
        ),
        anew=True,
    )
)
register(
    StepInfo(
        name="lda",
        stage="posthoc",
        run={"posthoc": "bench.methods.discriminant:lda"},
        summary="answer by linear discriminant analysis of training features, not by what the head learned",
        paper="Friedman 1989, Regularized discriminant analysis, Journal of the American Statistical "
        "Association 84(405)",
        params=(
            Param("shrink", float, 0.3, "towards one variance for all directions", low=0.001, high=1.0),
            Param(
                "prior",
                float,
                0.0,
                "how much of the classes' log shares in training is added: 0 takes them for equally frequent",
                low=0.0,
                high=1.0,
            ),
        ),
        anew=True,
    )
)
register(
    StepInfo(
        name="crt",
        stage="posthoc",
        run={"posthoc": "bench.methods.decoupled:crt"},
        summary="train the head anew on the trained net's features, every class seen equally often",
        paper="Kang et al. 2020, Decoupling representation and classifier, arXiv:1910.09217",
        params=(
            Param(
                "l2", float, 0.001, "penalty of the kernel, as the protocol's l2", low=0.000001, high=1000.0
            ),
        ),
        regimes=("scratch", "finetune"),
        anew=True,
    )
)
