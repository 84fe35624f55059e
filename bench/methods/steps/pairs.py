"""Steps that compare two photos, and that choose the training pairs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from bench.core.search import Search
from bench.data.augmentation import RECIPES
from bench.methods.registry import Param, StepInfo, register
from bench.methods.steps.augment import SHORTEN, STRENGTH, flip_check
from bench.methods.steps.transforms import MOST_AXES

_step = partial(StepInfo, run={}, regimes=("frozen",), kinds=("verification",))
_match = partial(_step, stage="match")
_NET = ("frozen", "scratch", "finetune")
_DIMS = Param(
    "dims",
    int,
    64,
    "dimensions of the embedding",
    low=1,
    high=MOST_AXES,
    search=Search(choices=(16, 32, 64, 128, 256)),
)
_SCALE = Param(
    "scale",
    float,
    16.0,
    "scale of the cosines before softmax",
    low=0.1,
    high=1000.0,
    search=Search(4.0, 64.0, log=True),
)


def _margin(default: float, what: str, high: float) -> Param:
    search = Search(default / 4, min(2 * default, high))
    return Param("margin", float, default, what, low=0.0, high=high, search=search)


def _bayes_check(args: Mapping[str, Any]) -> str | None:
    if args["by"] == "pairs" and args["rounds"] != 10:
        return "rounds belongs to by=identities, not to by=pairs"
    return None


def _bayes_conflicts(args: Mapping[str, Any]) -> Mapping[str, str]:
    conflicts = {}
    if args["dims"] != "auto":
        conflicts["principal_axes"] = "{other} already says how many axes; leave dims out"
    if args["parts"] == "each":
        conflicts["axes_of_all_parts"] = "with parts=each, say {other}(by=part)"
    return conflicts


register(
    _match(
        name="cosine",
        helps="no training labels are to be used; it is also the usual start",
        summary="cosine similarity of two photos' features; the default similarity",
        paper="Salton and McGill 1983, Introduction to modern information retrieval, McGraw-Hill",
        regimes=_NET,
    )
)
register(
    _match(
        name="euclidean",
        helps="no training labels are to be used",
        summary="minus the Euclidean distance between two photos' features",
        paper="Turk and Pentland 1991, Eigenfaces for recognition, Journal of Cognitive Neuroscience 3(1)",
    )
)
register(
    _match(
        name="manhattan",
        helps="no training labels are to be used, and single odd features should count less",
        summary="minus the sum of absolute differences between two photos' features",
        paper="Aggarwal, Hinneburg and Keim 2001, On the surprising behavior of distance metrics in high "
        "dimensional space, ICDT",
    )
)
register(
    _match(
        name="ssim",
        helps="you want to see how far plain pixels go",
        summary="structural similarity of two photos' grey pixels; uses no backbone",
        paper="Wang et al. 2004, Image quality assessment: from error visibility to structural similarity, "
        "IEEE Transactions on Image Processing 13(4)",
        needs=("skimage", "explain"),
        traits=("compares_pixels",),
    )
)
register(
    _match(
        name="emd",
        helps="you want to see how far grey histograms go",
        summary="minus the earth mover's distance between two photos' grey histograms; uses no backbone",
        paper="Rubner, Tomasi and Guibas 2000, The earth mover's distance as a metric for image retrieval, "
        "International Journal of Computer Vision 40(2)",
        traits=("compares_pixels",),
    )
)
register(
    _match(
        name="pair_logistic",
        helps="pairs are labelled, some thousand of them",
        summary="logistic regression on a pair's |a - b| and a * b",
        paper="Kumar et al. 2009, Attribute and simile classifiers for face verification, ICCV",
        regimes=_NET,
        traits=("trains_on_pairs", "trained_match"),
    )
)
register(
    _match(
        name="siamese",
        helps="pairs are labelled, many of them",
        summary="both photos through one backbone, a hidden layer with ReLU on |a - b| and a * b, one "
        "sigmoid",
        paper="Koch, Zemel and Salakhutdinov 2015, Siamese neural networks for one-shot image recognition, "
        "ICML deep learning workshop",
        params=(
            Param(
                "units",
                int,
                64,
                "of the hidden layer",
                low=1,
                high=8192,
                search=Search(choices=(16, 32, 64, 128, 256)),
            ),
        ),
        regimes=_NET,
        traits=("trains_on_pairs", "trained_match"),
    )
)
register(
    _match(
        name="contrastive",
        helps="pairs are labelled, many of them",
        summary="an embedding with same pairs close together and different ones a margin apart, on the "
        "sphere",
        paper="Hadsell, Chopra and LeCun 2006, Dimensionality reduction by learning an invariant mapping, "
        "CVPR",
        params=(
            _DIMS,
            _margin(1.0, "distance from which on a different pair costs nothing, of at most 2", 2.0),
        ),
        traits=("trains_on_pairs", "trained_match"),
    )
)
register(
    _match(
        name="triplet",
        helps="people are known, with several photos each",
        summary="an embedding where photos of one person are closer than those of others, by a margin",
        paper="Schroff, Kalenichenko and Philbin 2015, FaceNet, arXiv:1503.03832; Hermans, Beyer and Leibe "
        "2017, In defense of the triplet loss for person re-identification, arXiv:1703.07737",
        params=(
            _DIMS,
            _margin(0.2, "how much closer, in distance (semi_hard: squared distance)", 4.0),
            Param(
                "mining",
                str,
                "batch_hard",
                "of a batch, each photo's farthest own one against its nearest other one, or every pair of "
                "a person against the nearest other photo that is farther than it",
                choices=("batch_hard", "semi_hard"),
            ),
        ),
        traits=("trained_match",),
    )
)
register(
    _match(
        name="arcface",
        helps="people are known, many of them with several photos each",
        summary="an embedding trained to classify the training people, with a margin added to the angle",
        paper="Deng et al. 2019, ArcFace: additive angular margin loss for deep face recognition, "
        "arXiv:1801.07698",
        params=(_DIMS, _margin(0.5, "added to the angle to a photo's own person, in radians", 1.5), _SCALE),
        traits=("trained_match",),
    )
)
register(
    _match(
        name="cosface",
        helps="people are known, many of them with several photos each",
        summary="an embedding trained to classify the training people, with a margin off the cosine",
        paper="Wang et al. 2018, CosFace: large margin cosine loss for deep face recognition, "
        "arXiv:1801.09414",
        params=(_DIMS, _margin(0.35, "taken off the cosine to a photo's own person", 1.0), _SCALE),
        traits=("trained_match",),
    )
)
register(
    _match(
        name="joint_bayes",
        helps="people are known, with two or more photos each",
        summary="likelihood ratio of one person against two; a photo is a person's mean plus a deviation, "
        "both normal",
        paper="Chen et al. 2012, Bayesian face revisited: a joint formulation, ECCV; in closed form as "
        "Koestinger et al. 2012, Large scale metric learning from equivalence constraints, CVPR",
        params=(
            Param(
                "dims",
                int,
                "auto",
                "principal axes of the training photos, where no step of the space says so; auto: 32, 64, "
                "128 or 256, by the ROC area on validation pairs",
                choices=("auto",),
                low=1,
                high=MOST_AXES,
            ),
            Param(
                "by",
                str,
                "identities",
                "learn from who is on each photo, by expectation maximisation, or from same pairs alone, in "
                "closed form",
                choices=("identities", "pairs"),
            ),
            Param(
                "parts",
                str,
                "together",
                "all features in one model, or each part of a joined backbone in one of its own, ratios "
                "added",
                choices=("together", "each"),
            ),
            Param(
                "rounds",
                int,
                10,
                "of expectation maximisation",
                low=1,
                high=1000,
                search=Search(choices=(2, 5, 10, 20)),
            ),
        ),
        check=_bayes_check,
        conflicts=_bayes_conflicts,
    )
)
register(
    _step(
        name="pairs",
        helps="people are known, but few pairs are listed",
        stage="mining",
        summary="train on additional pairs of the training people's photos",
        paper="Schroff, Kalenichenko and Philbin 2015, FaceNet: a unified embedding for face recognition "
        "and clustering, arXiv:1503.03832",
        params=(
            Param(
                "mining",
                str,
                "random",
                "random; balanced: every person about equally often; hard: of ten times as many those that "
                "look most like the other answer, by cosine; semi_hard: different pairs that look less "
                "alike than the middle same pair, the most alike of these",
                choices=("random", "balanced", "hard", "semi_hard"),
            ),
            Param(
                "number",
                int,
                2000,
                "more pairs, half of one person",
                low=2,
                high=1_000_000,
                search=Search(choices=(500, 1000, 2000, 4000, 8000)),
            ),
        ),
        requires=("trains_on_pairs",),
    )
)
register(
    _step(
        name="pair_augment",
        helps="there are few training pairs",
        stage="augment",
        summary="train on augmented views of both photos of a pair and on the photos themselves",
        paper=SHORTEN,
        params=(
            Param(
                "recipe",
                str,
                "standard",
                "flip (left to right), crop, colour, rotate; standard is flip, crop and colour; randaug is "
                "RandAugment",
                choices=tuple(RECIPES),
            ),
            Param("views", int, 4, "augmented versions of each photo", low=1, high=64),
            Param(
                "mode",
                str,
                "same",
                "one change for both photos of a pair (of a batch, where there are no pairs), or one for "
                "each",
                choices=("same", "independent"),
            ),
            replace(STRENGTH, help="how far photos are changed, up to 1; flip has none"),
        ),
        check=flip_check,
        requires=("trained_match",),
    )
)
