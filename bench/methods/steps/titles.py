"""Steps for titles: alone, or beside images."""

from __future__ import annotations

from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register

register(
    StepInfo(
        name="naive_bayes",
        helps="titles are short and training images few",
        stage="posthoc",
        run={"posthoc": "bench.methods.closed_form_heads:naive_bayes"},
        summary="multinomial naive Bayes on the words of titles, instead of the trained head",
        paper="McCallum and Nigam 1998, A comparison of event models for naive Bayes text classification",
        params=(
            Param(
                "prior",
                str,
                "counts",
                "classes are as likely as they are common in training, or all alike",
                choices=("counts", "uniform"),
            ),
            Param(
                "alpha",
                float,
                1.0,
                "added to the count of every term",
                low=0.000001,
                high=1000.0,
                search=Search(0.01, 10.0, log=True),
            ),
        ),
        regimes=("frozen",),
        replaces_head=True,
        backbones=("tfidf",),
    )
)
register(
    StepInfo(
        name="fallback",
        helps="titles help if images are ambiguous",
        stage="posthoc",
        run={"posthoc": "bench.methods.fallback:fallback"},
        summary="a head on images and one on titles, used if the first is not confident",
        paper="Chow 1970, On optimum recognition error and reject tradeoff (the rule that gives up)",
        params=(
            Param(
                "by",
                str,
                "threshold",
                "use titles below a probability chosen on validation, or if their head is more confident",
                choices=("threshold", "confidence"),
            ),
        ),
        regimes=("frozen",),
        reads=("pixels", "titles"),
        traits=("two_heads", "unscaled_rows"),
        conflicts={"hidden_layer": "each of its heads is one linear layer"},
        shape=lambda args: {"two_heads": True},
    )
)
