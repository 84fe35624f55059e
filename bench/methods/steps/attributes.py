"""Losses of attributes, and where a yes begins."""

from __future__ import annotations

from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register

register(
    StepInfo(
        name="threshold",
        helps="F1 or the G-mean counts, and rare attributes stay below a probability of .5",
        place=2,
        stage="posthoc",
        run={"posthoc": "bench.methods.posthoc:threshold"},
        summary="say from which probability each attribute is a yes, as validation has it best",
        paper="Lipton et al. 2014, Optimal thresholding of classifiers to maximize F1 measure, "
        "arXiv:1402.1892",
        params=(
            Param(
                "by",
                str,
                "f1",
                "what is highest at the cut: F1, the geometric mean of sensitivity and specificity, or "
                "their sum",
                choices=("f1", "gmean", "youden"),
            ),
        ),
        kinds=("multilabel",),
    )
)
register(
    StepInfo(
        name="asl",
        helps="most labels are no, and most of these are easy",
        stage="loss",
        run={"loss": "bench.training.losses.specs:asl"},
        summary="asymmetric loss: an easy no counts less than an easy yes, the easiest not at all",
        paper="Ridnik et al. 2021, Asymmetric loss for multi-label classification, arXiv:2009.14119",
        params=(
            Param(
                "gamma_pos",
                float,
                0.0,
                "how much less easy yes cells count",
                low=0.0,
                high=20.0,
                search=Search(0.0, 2.0),
            ),
            Param(
                "gamma_neg",
                float,
                4.0,
                "how much less easy no cells count",
                low=0.0,
                high=20.0,
                search=Search(1.0, 6.0),
            ),
            Param(
                "clip",
                float,
                0.05,
                "a no with a probability up to this costs nothing",
                low=0.0,
                high=0.9,
                search=Search(0.0, 0.2),
            ),
        ),
        kinds=("multilabel",),
    )
)
register(
    StepInfo(
        name="large_loss",
        helps="only some of the yes labels are given, and none of the no",
        stage="loss",
        run={"loss": "bench.training.losses.specs:large_loss"},
        summary="unknown cells are taken as no, until their loss is among the largest",
        paper="Kim et al. 2022, Large loss matters in weakly supervised multi-label classification, "
        "arXiv:2206.03740",
        params=(
            Param(
                "form",
                str,
                "reject",
                "what becomes of them: left out, taken as yes in this batch, or from now on",
                choices=("reject", "correct", "permanent"),
            ),
            Param(
                "rate",
                float,
                0.002,
                "share of a batch's unknown cells that each epoch after the first adds to them",
                low=0.0,
                high=1.0,
                search=Search(0.0005, 0.02, log=True),
            ),
        ),
        kinds=("multilabel",),
        traits=("unknown_cells", "single_images"),
    )
)
register(
    StepInfo(
        name="splc",
        helps="only some of the yes labels are given, and none of the no",
        stage="loss",
        run={"loss": "bench.training.losses.specs:splc"},
        summary="unknown cells are taken as no, until the model is sure that they are yes",
        paper="Zhang et al. 2021, Simple and robust loss design for multi-label learning with missing "
        "labels, arXiv:2112.07368",
        params=(
            Param(
                "tau",
                float,
                0.6,
                "probability above which an unknown cell is a yes",
                low=0.01,
                high=0.99,
                search=Search(0.5, 0.95),
            ),
            Param(
                "change_epoch",
                int,
                2,
                "first epoch in which that is so",
                low=1,
                high=100000,
                search=Search(choices=(1, 2, 3, 5, 10)),
            ),
            Param(
                "margin",
                float,
                1.0,
                "taken off the logit of an observed yes",
                low=0.0,
                high=20.0,
                search=Search(0.0, 2.0),
            ),
            Param(
                "gamma",
                float,
                2.0,
                "how much less easy cells count",
                low=0.0,
                high=20.0,
                search=Search(0.5, 4.0),
            ),
        ),
        kinds=("multilabel",),
        traits=("unknown_cells", "single_images"),
    )
)
