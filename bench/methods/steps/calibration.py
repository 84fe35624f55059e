"""Probabilities that can be trusted, and sets of classes with a known coverage."""

from __future__ import annotations

from bench.methods.registry import Param, StepInfo, register


def _share(default: float, of: str = "") -> Param:
    return Param(
        "share",
        float,
        default,
        f"calibration part{' ' * bool(of)}{of}: share of the training images without validation, which no "
        "training and no choice sees",
        low=0.01,
        high=0.9,
    )


register(
    StepInfo(
        name="temperature",
        helps="probabilities must be calibrated",
        stage="posthoc",
        run={"posthoc": "bench.methods.posthoc:temperature"},
        summary="divide all logits by a temperature fitted to a calibration set; predictions do not change",
        paper="Guo et al. 2017, On calibration of modern neural networks, arXiv:1706.04599",
        params=(
            Param(
                "t",
                float,
                "auto",
                "the number; `auto` takes the one with the lowest log loss on a calibration part, 1 where "
                "all of it is answered right",
                choices=("auto",),
                low=0.01,
                high=100.0,
            ),
            _share(0.1, "of `auto`"),
        ),
        calibrates=lambda args: float(args["share"]) if args["t"] == "auto" else 0.0,
        kinds=("multiclass", "multilabel"),
        conflicts={"fallback": "its two heads have temperatures of their own"},
        shares_stage=True,
        place=1,
    )
)
register(
    StepInfo(
        name="conformal",
        helps="an answer may be several classes, and the right one must be among them at a known rate",
        stage="posthoc",
        run={"posthoc": "bench.methods.conformal:conformal"},
        summary="prediction sets that contain the right class of an image of any class with a probability of "
        "at least 1 - alpha",
        paper="Sadinle et al. 2019, Least ambiguous set-valued classifiers with bounded error levels, JASA "
        "114:223, arXiv:1609.00451; by class: Vovk 2012, arXiv:1209.2673",
        params=(
            Param(
                "alpha",
                float,
                0.1,
                "allowed rate of sets without the right class; fewer than 1 / alpha - 1 calibration images "
                "of a class put it in every set",
                low=0.001,
                high=0.5,
            ),
            _share(0.2),
        ),
        calibrates=lambda args: float(args["share"]),
        shares_stage=True,
        place=3,
    )
)
