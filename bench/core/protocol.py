"""Protocol keys, which cards and `--set` may set: types, defaults and bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bench.core import plugins
from bench.core.cell import Value
from bench.core.errors import BenchError, unknown
from bench.core.forms import MAX_INTEGER


@dataclass(frozen=True)
class Key:
    """One protocol key. choices: the allowed words. low, high: bounds of numbers, inclusive.

    words: words allowed instead of a number. registered: sort of plug-in entries that are choices, too.
    later: whether the key was added after results were stored; identities then omit its default.
    """

    name: str
    type: type
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    pattern: str = ""
    words: tuple[str, ...] = ()
    registered: str = ""
    later: bool = False


_SIZE = r"native|[1-9]\d{0,3}(x[1-9]\d{0,3})?"
GIVEN = "given"
"""The value of `labels` for the labels of the data."""

CARD = "card"
"""The value of `source`, `split` and `split_column` for those of the card."""

_COLUMN = r"[^\x00-\x1f]{1,200}"

_COLUMN_OR_NOT = r"[^\x00-\x1f]{0,200}"
_NAME = r"[A-Za-z0-9_.-]{1,100}"
_LAYERS = r"|[A-Za-z0-9_./:-]{1,100}(,[A-Za-z0-9_./:-]{1,100}){0,15}"

AUTO = "auto"
"""For `l2`, a decreasing weight decay with early stopping on validation; for `engine`, by device."""

OPTIMIZERS = ("adam", "sgd", "rmsprop", "adagrad", "adadelta")

# The default of a new key must be the behaviour before it existed: stored and pinned results lack it.
KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("epochs", int, 40, "maximum number of passes over the training rows", low=1, high=100_000),
        Key("batch_size", int, 64, "rows per step", low=1, high=1_000_000),
        Key("lr", float, 1e-3, "learning rate", low=0.0),
        Key(
            "steps",
            int,
            0,
            "maximum number of minibatches, instead of epochs, rounded up to whole epochs; 0: use epochs",
            low=0,
            high=100_000_000,
        ),
        Key("optimizer", str, "adam", "optimizer", choices=OPTIMIZERS),
        Key("momentum", float, 0.9, "momentum of sgd", low=0.0, high=1.0),
        Key(
            "l2",
            float,
            0.0,
            "weight decay of kernels: l2 * kernel is added to the gradient; auto, for frozen features: "
            "decays from 1 to .001 during training, the best epoch is chosen on validation",
            low=0.0,
            words=(AUTO,),
        ),
        Key(
            "patience",
            int,
            8,
            "epochs without a better validation loss before early stopping; 0: no early stopping",
            low=0,
        ),
        Key(
            "schedule",
            str,
            "constant",
            "learning rate schedule: in steps, along a cosine, or on a plateau of the validation loss",
            choices=("constant", "step", "cosine", "plateau"),
        ),
        Key(
            "schedule_every",
            int,
            10,
            "epochs between steps; plateau: epochs without a better validation loss",
            low=1,
        ),
        Key("schedule_factor", float, 0.5, "factor of the learning rate at a step", low=0.0, high=1.0),
        Key(
            "stop_by",
            str,
            "auto",
            "validation metric that chooses the best epoch; auto: set by the method, mostly loss; last: none",
            choices=("auto", "val_loss", "val_top1", "val_f1", "val_auc", "last"),
        ),
        Key("val_fraction", float, 0.15, "validation share of the training set", low=0.01, high=0.9),
        Key("refit", bool, False, "after all choices, train again on train + validation for the best epochs"),
        Key(
            "train_from",
            str,
            "",
            "finetune: the first layer of the backbone to train, by name; empty: all layers",
            pattern=_COLUMN_OR_NOT,
        ),
        Key(
            "norms",
            str,
            "learn",
            "finetune: whether batch normalisation is trained or keeps its pretrained values",
            choices=("learn", "keep"),
        ),
        Key("backbone_rate", float, 1.0, "finetune: the backbone's learning rate over the head's", low=0.0),
        Key(
            "unfreeze",
            int,
            0,
            "finetune: epochs before each further block of layers is unfrozen, from the top, after the head "
            "alone; 0: train all from the start",
            low=0,
            high=100_000,
        ),
        Key("staged", bool, False, "finetune: start a stage from the net of the stage before it"),
        Key("standardize", bool, True, "frozen features: zero mean, unit variance over the training set"),
        Key("input_size", str, "native", "input pixels of the backbone: native, N or HxW", pattern=_SIZE),
        Key("resize", str, "squash", "method of resizing to that size", choices=("squash", "crop", "pad")),
        Key(
            "preprocess",
            str,
            "backbone",
            "pixel scaling: the backbone's own, or another",
            choices=("backbone", "unit", "tf", "torch", "caffe", "none"),
        ),
        Key(
            "engine",
            str,
            "tensorflow",
            "library for features; auto (frozen): openvino on a CPU, tensorflow on a GPU",
            choices=("auto", "tensorflow", "openvino"),
        ),
        Key(
            "precision",
            str,
            "float32",
            "precision of nets in TensorFlow; half precision is for GPUs",
            choices=("float32", "mixed_bfloat16", "mixed_float16"),
        ),
        Key("crop", float, 1.0, "share of each side of an image kept by a centre crop", low=0.05, high=1.0),
        Key(
            "layers",
            str,
            "",
            "frozen: layers whose outputs are the features, not the last one: names separated by commas",
            pattern=_LAYERS,
        ),
        Key(
            "pool",
            str,
            "average",
            "frozen: pooling of feature maps: global average, or averages over a grid of 2x2 to 8x8 fields",
            choices=("average", "grid2", "grid4", "grid8"),
        ),
        Key("unit_fields", bool, False, "frozen: L2-normalise each field of a map, or its average"),
        Key("mirror", bool, False, "frozen: average the features of an image and its mirror image"),
        Key("mask_class_words", bool, False, "titles: leave out words of the stage's class names"),
        Key("source", str, CARD, "the data: the card's source, or another one of the card", pattern=_NAME),
        Key(
            "split",
            str,
            CARD,
            "split rule: the card's, or another",
            choices=(CARD, "even_year", "stratified", "grouped", "random", "column"),
            registered="split rule",
        ),
        Key("split_column", str, CARD, "the column that the split rule reads", pattern=_COLUMN),
        Key("test_fraction", float, 0.2, "test share of a random split", low=0.01, high=0.5),
        Key("split_seed", int, 0, "seed of a random split", low=0),
        Key(
            "rehearse",
            str,
            "",
            "subsample the training set to the class counts of this smaller stage and test on the rest, to "
            "choose without test images",
            pattern=_COLUMN_OR_NOT,
        ),
        Key(
            "rehearse_by",
            str,
            "",
            "rehearse: a column whose values are either trained or tested (titles: by their first word)",
            pattern=_COLUMN_OR_NOT,
        ),
        Key("rehearse_seed", int, 0, "rehearse: seed of the split", low=0),
        Key("labels", str, GIVEN, "a table of reviewed labels (bench clean writes one)", pattern=_COLUMN),
        Key(
            "noise",
            str,
            "none",
            "synthetic label noise in train: any other class, the next one, or a confused one",
            choices=("none", "uniform", "pair", "confusion"),
        ),
        Key("noise_rate", float, 0.0, "share of training labels made wrong", low=0.0, high=0.95),
        Key("noise_seed", int, 0, "seed of the label noise", low=0),
        Key(
            "hide",
            str,
            "none",
            "hide known training labels: at random, or depending on another column",
            choices=("none", "random", "column"),
        ),
        Key("hide_rate", float, 0.0, "share of known training labels to hide", low=0.0, high=0.95),
        Key("hide_by", str, "", "the column that hiding depends on, for hide=column", pattern=_COLUMN_OR_NOT),
        Key("hide_seed", int, 0, "seed of hiding", low=0),
        Key(
            "pairs",
            str,
            "auto",
            "pairs: LFW's View 1 or View 2 as listed, or generated; auto: View 1 if it is listed",
            choices=("auto", "view1", "view2", "made"),
        ),
        Key(
            "train_pairs",
            int,
            4000,
            "generated pairs for train and validation, half of one person",
            low=4,
            high=10_000_000,
        ),
        Key("test_pairs", int, 500, "generated pairs for test, half of one person", low=2, high=10_000_000),
        Key("pair_balance", bool, False, "generated pairs: show each person about equally often"),
        Key(
            "duplicates",
            str,
            "keep",
            "test images that are also in train (byte-identical or near duplicates)",
            choices=("keep", "drop"),
        ),
        Key(
            "tune",
            int,
            1,
            "trials of each method's arguments, learning rate, weight decay and batch size; the best one on "
            "validation is tested; 1: the default setting alone",
            low=1,
            high=1000,
            later=True,
        ),
        Key("tune_seed", int, 0, "tune: seed of the trials", low=0, high=2**32 - 1, later=True),
        Key(
            "tuner",
            str,
            "random",
            "tune: how trials are chosen: at random, or by Optuna's TPE with successive halving over epochs",
            choices=("random", "tpe"),
            later=True,
        ),
    )
}


REGIME_DEFAULTS: dict[str, dict[str, Value]] = {
    "frozen": {"epochs": 400, "l2": AUTO, "refit": True, "engine": AUTO},
    "scratch": {},
    "finetune": {},
}
"""Defaults by regime, which replace the keys' own; cards may override them."""


def defaults() -> dict[str, Value]:
    """Return every key at its default."""
    return {name: key.default for name, key in KEYS.items()}


def identified(setting: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """Return the values in a cell's identity, sorted: all but later keys at their default."""
    later = {name: key.default for name, key in KEYS.items() if key.later}
    return tuple(sorted((name, value) for name, value in setting.items() if later.get(name) != value))


def check(name: str, value: Value, where: str) -> Value:
    """Return a valid value in its key's type. Raises BenchError. where: the place of the value."""
    if name not in KEYS:
        raise unknown("protocol key", name, KEYS, where)
    key = KEYS[name]
    if value in key.words:
        return value
    if type(value) is int and not -MAX_INTEGER < value < MAX_INTEGER:
        raise BenchError(f"{where[:200]}: {name} takes a number of at most 18 digits")
    if key.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not key.type:
        raise BenchError(f"{where}: {name} takes {_wanted(key)}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BenchError(f"{where}: {name} takes a finite number, not {value!r}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if key.low is not None and value < key.low:
            raise BenchError(f"{where}: {name} is at least {key.low:g}, not {value:g}")
        if key.high is not None and value > key.high:
            raise BenchError(f"{where}: {name} is at most {key.high:g}, not {value:g}")
    choices = key.choices
    if key.registered and value not in choices:
        plugins.load_known()
        choices += plugins.names_of(key.registered)
    if choices and value not in choices:
        raise unknown(f"value of {name}", str(value), choices, f"one of {', '.join(choices)}")
    if key.pattern and not re.fullmatch(key.pattern, str(value)):
        raise BenchError(f"{where}: {name} takes {key.help.split(': ')[-1]}, not {value!r}")
    return value


def _wanted(key: Key) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return f"one of {', '.join(key.choices)}" if key.choices else " or ".join([names[key.type], *key.words])


def resolve(*layers: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """Merge the defaults and the layers, later ones overriding, into sorted (key, value) pairs."""
    merged = defaults()
    for layer in layers:
        merged.update(layer)
    return tuple(sorted(merged.items()))


def image_size(value: Value, native: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) for an `input_size` value.

    >>> image_size("350x450", (224, 224)), image_size("64", (224, 224)), image_size("native", (224, 224))
    ((350, 450), (64, 64), (224, 224))
    """
    if value == "native":
        return native
    height, _, width = str(value).partition("x")
    return int(height), int(width or height)
