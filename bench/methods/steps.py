"""Every step a method can be made of: importing this module fills the registry."""

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


def _sce_check(args: Mapping[str, Any]) -> str | None:
    if args["beta"] * args["log_zero"] == 0 and args["alpha"] == 0:
        return "nothing is left to minimise: alpha is 0, and so is beta or log_zero"
    return None


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
        name="clean",
        stage="labels",
        run={"labels": "bench.methods.cleaning:clean"},
        summary="find wrong labels of training images by heads that have not seen them",
        paper="Northcutt et al. 2021, Confident learning: estimating uncertainty in dataset labels, "
        "arXiv:1911.00068",
        params=(
            Param("by", str, "confident", "confident learning, by cross-validation", choices=("confident",)),
            Param(
                "action",
                str,
                "drop",
                "leave suspects out, give them the suggested label, or weight every image's loss by the "
                "probability of its label",
                choices=("drop", "relabel", "weight"),
            ),
            Param("folds", int, 5, "parts of the cross-validation; groups stay whole", low=2, high=50),
        ),
        regimes=("frozen",),
        on_features=True,
        needs=("cleanlab", "clean"),
    )
)
register(
    StepInfo(
        name="oversample",
        stage="sampling",
        run={"sampling": "bench.methods.sampling:oversample"},
        summary="repeat images of small classes at random",
        paper="Buda et al. 2018, A systematic study of the class imbalance problem, arXiv:1710.05381",
        params=(_RAISE_TO,),
    )
)
register(
    StepInfo(
        name="undersample",
        stage="sampling",
        run={"sampling": "bench.methods.sampling:undersample"},
        summary="leave out images of large classes at random",
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
        summary="weight each image's loss by the inverse size of its class",
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
    )
)
register(
    StepInfo(
        name="focal",
        stage="loss",
        run={"loss": "bench.methods.losses:focal"},
        summary="focal loss on softmax probabilities: easy images count less",
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
        name="label_smoothing",
        stage="loss",
        run={"loss": "bench.methods.losses:label_smoothing"},
        summary="cross entropy that spreads epsilon of each label evenly over all classes",
        paper="Szegedy et al. 2016, Rethinking the inception architecture, arXiv:1512.00567",
        params=(Param("epsilon", float, 0.1, "share of the label that is spread", low=0.0, high=0.99),),
    )
)
register(
    StepInfo(
        name="gce",
        stage="loss",
        run={"loss": "bench.methods.doubt:gce"},
        summary="generalised cross entropy: images whose label seems wrong count less",
        paper="Zhang and Sabuncu 2018, Generalized cross entropy loss for training deep neural networks "
        "with noisy labels, arXiv:1805.07836",
        params=(Param("q", float, 0.7, "near 0 is cross entropy, 1 is absolute error", low=0.001, high=1.0),),
    )
)
register(
    StepInfo(
        name="sce",
        stage="loss",
        run={"loss": "bench.methods.doubt:sce"},
        summary="symmetric cross entropy: a bounded term that doubts labels is added",
        paper="Wang et al. 2019, Symmetric cross entropy for robust learning with noisy labels, "
        "arXiv:1908.06112",
        params=(
            Param("alpha", float, 0.1, "factor of cross entropy", low=0.0, high=1000.0),
            Param("beta", float, 1.0, "factor of reverse cross entropy", low=0.0, high=1000.0),
            Param("log_zero", float, -4.0, "what stands for log 0, the paper's A", low=-100.0, high=0.0),
        ),
        check=_sce_check,
    )
)
register(
    StepInfo(
        name="bootstrap",
        stage="loss",
        run={"loss": "bench.methods.doubt:bootstrap"},
        summary="cross entropy against the label mixed with the model's own prediction",
        paper="Reed et al. 2015, Training deep neural networks on noisy labels with bootstrapping, "
        "arXiv:1412.6596",
        params=(
            Param("beta", float, 0.8, "share of the label; 1 is cross entropy", low=0.01, high=1.0),
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
        stage="loss",
        run={"loss": "bench.methods.doubt:elr"},
        summary="early-learning regularisation: hold on to what was predicted before labels are memorised",
        paper="Liu et al. 2020, Early-learning regularization prevents memorization of noisy labels, "
        "arXiv:2007.00151",
        params=(
            Param("beta", float, 0.7, "weight of the past in an image's memory", low=0.0, high=0.999),
            Param("lam", float, 3.0, "strength; 0 is cross entropy", low=0.0, high=100.0),
        ),
        regimes=("frozen",),
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
