"""Losses of attributes, and where a yes begins."""

from __future__ import annotations

from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register

register(
    StepInfo(
        name="threshold",
        helps="F1 or the G-mean counts, and rare attributes rarely reach a probability of .5",
        place=2,
        stage="posthoc",
        run={"posthoc": "bench.methods.posthoc:threshold"},
        summary="choose each attribute's decision threshold on validation",
        paper="Lipton et al. 2014, Optimal thresholding of classifiers to maximize F1 measure, "
        "arXiv:1402.1892",
        params=(
            Param(
                "by",
                str,
                "f1",
                "what the threshold maximises: F1, the geometric mean of sensitivity and specificity, or "
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
        helps="most labels are negative, and most of these are easy",
        stage="loss",
        run={"loss": "bench.training.losses.specs:asl"},
        summary="asymmetric loss: easy negatives count less than easy positives, the easiest not at all",
        paper="Ridnik et al. 2021, Asymmetric loss for multi-label classification, arXiv:2009.14119",
        params=(
            Param(
                "gamma_pos",
                float,
                0.0,
                "focusing parameter of positive cells",
                low=0.0,
                high=20.0,
                search=Search(0.0, 2.0),
            ),
            Param(
                "gamma_neg",
                float,
                4.0,
                "focusing parameter of negative cells",
                low=0.0,
                high=20.0,
                search=Search(1.0, 6.0),
            ),
            Param(
                "clip",
                float,
                0.05,
                "negatives with a probability up to this have no loss",
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
        helps="only some of the positive labels are given, and no negative ones",
        stage="loss",
        run={"loss": "bench.training.losses.specs:large_loss"},
        summary="treat unknown cells as no, until their loss is among the largest",
        paper="Kim et al. 2022, Large loss matters in weakly supervised multi-label classification, "
        "arXiv:2206.03740",
        params=(
            Param(
                "form",
                str,
                "reject",
                "treatment of these cells: left out, yes in this batch, or yes from now on",
                choices=("reject", "correct", "permanent"),
            ),
            Param(
                "rate",
                float,
                0.002,
                "share of a batch's unknown cells added to them by each epoch after the first",
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
        helps="only some of the positive labels are given, and no negative ones",
        stage="loss",
        run={"loss": "bench.training.losses.specs:splc"},
        summary="treat unknown cells as no, until the model is confident that they are yes",
        paper="Zhang et al. 2021, Simple and robust loss design for multi-label learning with missing "
        "labels, arXiv:2112.07368",
        params=(
            Param(
                "tau",
                float,
                0.6,
                "probability above which an unknown cell counts as yes",
                low=0.01,
                high=0.99,
                search=Search(0.5, 0.95),
            ),
            Param(
                "change_epoch",
                int,
                2,
                "first epoch with this rule",
                low=1,
                high=100000,
                search=Search(choices=(1, 2, 3, 5, 10)),
            ),
            Param(
                "margin",
                float,
                1.0,
                "subtracted from the logit of an observed yes",
                low=0.0,
                high=20.0,
                search=Search(0.0, 2.0),
            ),
            Param(
                "gamma",
                float,
                2.0,
                "focusing parameter",
                low=0.0,
                high=20.0,
                search=Search(0.5, 4.0),
            ),
        ),
        kinds=("multilabel",),
        traits=("unknown_cells", "single_images"),
    )
)
