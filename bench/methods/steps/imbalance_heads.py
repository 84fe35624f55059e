"""Steps against imbalance that change the trained head, or put another one in its place."""

from __future__ import annotations

from bench.core.search import Search
from bench.methods.registry import Param, StepInfo, register

register(
    StepInfo(
        name="tau_norm",
        helps="classes differ in size and the head is already trained; needs no training",
        stage="posthoc",
        run={"posthoc": "bench.methods.posthoc:tau_norm"},
        summary="divide each class's kernel by its norm to the power tau and drop the bias",
        paper="Kang et al. 2020, Decoupling representation and classifier, arXiv:1910.09217",
        traits=("kernel_norms",),
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
        helps="classes have only a few images",
        stage="posthoc",
        run={"posthoc": "bench.methods.closed_form_heads:ncm"},
        summary="nearest-class-mean classifier on the training features, instead of the trained head",
        paper="Kang et al. 2020, Decoupling representation and classifier, arXiv:1910.09217; Mensink et al. "
        "2013, Distance-based image classification: generalizing to new classes at near-zero cost",
        params=(
            Param(
                "by",
                str,
                "euclidean",
                "distance to the mean: squared Euclidean, or cosine",
                choices=("euclidean", "cosine"),
            ),
        ),
        replaces_head=True,
    )
)
register(
    StepInfo(
        name="lda",
        helps="classes have only a few images and the features are good",
        stage="posthoc",
        run={"posthoc": "bench.methods.closed_form_heads:lda"},
        summary="linear discriminant analysis of the training features, instead of the trained head",
        paper="Friedman 1989, Regularized discriminant analysis, Journal of the American Statistical "
        "Association 84(405)",
        params=(
            Param(
                "shrink",
                float,
                0.3,
                "shrinkage of the covariance towards a multiple of the identity",
                low=0.001,
                high=1.0,
                search=Search(0.01, 1.0, log=True),
            ),
            Param(
                "prior",
                float,
                0.0,
                "how much of the classes' log shares in training is added: 0 takes them for equally frequent",
                low=0.0,
                high=1.0,
                search=Search(0.0, 1.0),
            ),
        ),
        replaces_head=True,
    )
)
register(
    StepInfo(
        name="crt",
        helps="a whole net was trained on classes that differ in size",
        stage="posthoc",
        run={"posthoc": "bench.methods.closed_form_heads:crt"},
        summary="retrain the head on the trained net's features with balanced classes",
        paper="Kang et al. 2020, Decoupling representation and classifier, arXiv:1910.09217",
        params=(
            Param(
                "l2",
                float,
                0.001,
                "penalty of the kernel, as the protocol's l2",
                low=0.000001,
                high=1000.0,
                search=Search(0.00001, 0.1, log=True),
            ),
        ),
        regimes=("scratch", "finetune"),
        replaces_head=True,
    )
)
