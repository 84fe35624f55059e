"""Steps that change the images that are trained on, alone or in pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from bench.core.search import Search
from bench.data.augmentation import RECIPES, Recipe
from bench.methods.minority import MINORITY
from bench.methods.registry import Param, StepInfo, register

SHORTEN = (
    "Shorten and Khoshgoftaar 2019, A survey on image data augmentation for deep learning, Journal of Big "
    "Data 6(60)"
)
_NETS = ("scratch", "finetune")
STRENGTH = Param(
    "strength",
    float,
    0.5,
    "strength of the augmentation, up to 1; flip has none",
    low=0.01,
    high=1.0,
    search=Search(0.1, 1.0, regimes=_NETS),
)
_VIEWS = Param(
    "views",
    int,
    4,
    "frozen: augmented versions of each training image; nets augment in every epoch",
    low=1,
    high=64,
)
_CLASSES = Param(
    "classes",
    str,
    "all",
    "whose images; minority classes are those with fewer training images than the mean (attributes: images "
    "with one that fewer have than the mean)",
    choices=("all", MINORITY),
)


def flip_check(args: Mapping[str, Any]) -> str | None:
    """Return why a recipe has no strength."""
    if args["recipe"] == "flip" and args["strength"] != STRENGTH.default:
        return "flip has no strength"
    return None


def _augment_unfit(args: Mapping[str, Any], regime: str) -> str | None:
    if regime != "frozen" and args["views"] != _VIEWS.default:
        return f"changes images in every epoch in regime {regime}; views is for the frozen one"
    return None


def _pasting_unfit(args: Mapping[str, Any], regime: str) -> str | None:
    if regime == "frozen":
        return "pastes pixels; the frozen regime keeps features of whole images, into which nothing is pasted"
    return None


def _alpha(default: float, low: str) -> Param:
    text = f"of the Beta distribution of shares: near 0 {low}, 1 is any share alike"
    search = Search(default / 4, default * 4, log=True)
    return Param("alpha", float, default, text, low=0.01, high=100.0, search=search)


def _share(default: float) -> Param:
    search = Search(0.25, 1.0)
    return Param(
        "share", float, default, "share of the images with a patch", low=0.01, high=1.0, search=search
    )


def _augment_shape(args: Mapping[str, Any]) -> Mapping[str, Any]:
    recipe = Recipe(str(args["recipe"]), float(args["strength"]))
    return {"recipe": recipe, "views": int(args["views"]), "minority": args["classes"] == MINORITY}


def _mixing_shape(way: str) -> Callable[[Mapping[str, Any]], Mapping[str, Any]]:
    def shape(args: Mapping[str, Any]) -> Mapping[str, Any]:
        from bench.training.fits import Mixing

        numbers = {name: float(args[name]) for name in ("alpha", "share", "power") if name in args}
        return {"mixing": Mixing(way, **numbers, minority=args.get("classes") == MINORITY)}

    return shape


_MIX_CONFLICTS = {"single_images": "{other} goes by single images"}

register(
    StepInfo(
        name="augment",
        helps="there are few training images",
        stage="augment",
        run={},
        summary="augment training images by keras-cv layers (frozen: train on views and the image itself)",
        paper=SHORTEN,
        params=(
            Param(
                "recipe",
                str,
                "standard",
                "flip (left to right, never upside down), crop, colour, rotate; standard is flip, crop and "
                "colour; randaug is RandAugment",
                choices=tuple(RECIPES),
            ),
            _VIEWS,
            STRENGTH,
            _CLASSES,
        ),
        kinds=("multiclass", "multilabel"),
        check=flip_check,
        unfit=_augment_unfit,
        traits=("pooled_views",),
        shape=_augment_shape,
    )
)
register(
    StepInfo(
        name="mixup",
        helps="there are few training images, or the net memorises them",
        stage="mix",
        run={},
        summary="train on blends of two images (frozen: of their features) with both labels",
        paper="Zhang et al. 2018, mixup: beyond empirical risk minimization, arXiv:1710.09412",
        params=(_alpha(0.2, "hardly blends"), _CLASSES),
        kinds=("multiclass", "multilabel"),
        conflicts=_MIX_CONFLICTS,
        shape=_mixing_shape("mixup"),
    )
)
register(
    StepInfo(
        name="cutmix",
        helps="there are few training images and a whole net is trained",
        stage="mix",
        run={},
        summary="paste a patch of another image of the minibatch; mix the labels by area",
        paper="Yun et al. 2019, CutMix: regularization strategy to train strong classifiers with localizable "
        "features, arXiv:1905.04899",
        params=(_alpha(1.0, "takes next to nothing or all"), _share(1.0), _CLASSES),
        regimes=_NETS,
        unfit=_pasting_unfit,
        conflicts=_MIX_CONFLICTS,
        shape=_mixing_shape("cutmix"),
    )
)
register(
    StepInfo(
        name="cmo",
        helps="some classes have very few images and a whole net is trained",
        stage="mix",
        run={},
        summary="paste patches of rare-class images into others; mix the labels by area",
        paper="Park et al. 2022, The majority can help the minority: context-rich minority oversampling for "
        "long-tailed classification, arXiv:2112.00412",
        params=(
            _alpha(1.0, "takes next to nothing or all"),
            _share(0.5),
            Param(
                "power",
                float,
                1.0,
                "patches are drawn from classes with weights count ** (1 - power); 1: all classes alike",
                low=0.0,
                high=5.0,
                search=Search(0.5, 2.0),
            ),
        ),
        regimes=_NETS,
        unfit=_pasting_unfit,
        conflicts=_MIX_CONFLICTS,
        shape=_mixing_shape("cmo"),
    )
)
