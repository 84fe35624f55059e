"""The protocol: every value that a card or `--set` may fix, with its type, default and bounds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from bench.errors import BenchError, unknown
from bench.spec import Value


@dataclass(frozen=True)
class Key:
    """One protocol key. `choices` closes the set of words; `low`/`high` bound numbers (inclusive)."""

    name: str
    type: type
    default: Value
    help: str
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    pattern: str = ""


_SIZE = r"native|[1-9]\d{0,3}(x[1-9]\d{0,3})?"
GIVEN = "given"
"""The value of `labels` that means those of the data."""

CARD = "card"
"""The value of `source`, `split` and `split_column` that means what the card says."""

_COLUMN = r"[^\x00-\x1f]{1,200}"

_COLUMN_OR_NOT = r"[^\x00-\x1f]{0,200}"
_NAME = r"[A-Za-z0-9_.-]{1,100}"
_LAYERS = r"|[A-Za-z0-9_./:-]{1,100}(,[A-Za-z0-9_./:-]{1,100}){0,15}"

OPTIMIZERS = ("adam", "sgd", "rmsprop", "adagrad", "adadelta")

# A key that is added later has as its default what was done before it was there: what is stored and pinned
# from before is then read rightly.
KEYS: dict[str, Key] = {
    key.name: key
    for key in (
        Key("epochs", int, 40, "passes over the training rows, at most", low=1, high=100_000),
        Key("batch_size", int, 64, "rows per step", low=1, high=1_000_000),
        Key("lr", float, 1e-3, "learning rate", low=0.0),
        Key(
            "steps",
            int,
            0,
            "minibatches to train for, at most, instead of epochs, rounded up to whole epochs; 0: by epochs",
            low=0,
            high=100_000_000,
        ),
        Key("optimizer", str, "adam", "the rule that moves weights", choices=OPTIMIZERS),
        Key("momentum", float, 0.9, "of sgd", low=0.0, high=1.0),
        Key("l2", float, 0.0, "weight decay of the kernels: l2 * kernel is added to the gradient", low=0.0),
        Key(
            "patience",
            int,
            8,
            "epochs without a better validation loss before stopping; 0 never stops",
            low=0,
        ),
        Key(
            "schedule",
            str,
            "constant",
            "how the learning rate falls: at steps, along a cosine, or when validation loss stands still",
            choices=("constant", "step", "cosine", "plateau"),
        ),
        Key(
            "schedule_every",
            int,
            10,
            "epochs between steps; plateau: epochs without a better validation loss",
            low=1,
        ),
        Key("schedule_factor", float, 0.5, "what a step multiplies the learning rate by", low=0.0, high=1.0),
        Key(
            "stop_by",
            str,
            "auto",
            "what picks the best epoch on validation; auto: the method says, mostly loss; last: nothing does",
            choices=("auto", "val_loss", "val_top1", "val_f1", "val_auc", "last"),
        ),
        Key(
            "val_fraction", float, 0.15, "share of the training part kept for validation", low=0.01, high=0.9
        ),
        Key(
            "refit", bool, False, "after every choice, train again on train + validation for the best epochs"
        ),
        Key(
            "train_from",
            str,
            "",
            "finetune: the layer from which on the backbone is trained, by its name; empty trains all",
            pattern=_COLUMN_OR_NOT,
        ),
        Key(
            "norms",
            str,
            "learn",
            "finetune: whether batch normalisation learns, or stays as the weights came",
            choices=("learn", "keep"),
        ),
        Key("backbone_rate", float, 1.0, "finetune: the backbone's learning rate over the head's", low=0.0),
        Key(
            "unfreeze",
            int,
            0,
            "finetune: every so many epochs one more block of layers begins to train, from the top, the head "
            "alone before; 0: all from the start",
            low=0,
            high=100_000,
        ),
        Key("staged", bool, False, "finetune: a stage goes on from the net of the stage before it"),
        Key("standardize", bool, True, "frozen features: zero mean, unit variance over the training part"),
        Key("input_size", str, "native", "pixels fed to the backbone: native, N or HxW", pattern=_SIZE),
        Key("resize", str, "squash", "how an image gets that size", choices=("squash", "crop", "pad")),
        Key(
            "preprocess",
            str,
            "backbone",
            "pixel scaling: the backbone's own, or another on purpose",
            choices=("backbone", "unit", "tf", "torch", "caffe", "none"),
        ),
        Key("engine", str, "tensorflow", "what extracts features", choices=("tensorflow", "openvino")),
        Key("crop", float, 1.0, "share of each side of an image that is kept, centred", low=0.05, high=1.0),
        Key(
            "layers",
            str,
            "",
            "frozen: layers whose outputs are the features, instead of the last: names joined by commas",
            pattern=_LAYERS,
        ),
        Key(
            "pool",
            str,
            "average",
            "frozen: what a feature map becomes: its average, or those of the fields of a grid of 2x2 to 8x8",
            choices=("average", "grid2", "grid4", "grid8"),
        ),
        Key("unit_fields", bool, False, "frozen: each field of a map, or its average, is made of length one"),
        Key("mirror", bool, False, "frozen: features are the mean of an image's and its mirror's"),
        Key("mask_class_words", bool, False, "titles: words of the stage's class names are left out"),
        Key("source", str, CARD, "the data: the card's source, or another that it names", pattern=_NAME),
        Key(
            "split",
            str,
            CARD,
            "which examples test: the card's rule, or another",
            choices=(CARD, "even_year", "stratified", "grouped", "random"),
        ),
        Key("split_column", str, CARD, "the column that the split rule looks at", pattern=_COLUMN),
        Key("test_fraction", float, 0.2, "share that tests, where the rule draws it", low=0.01, high=0.5),
        Key("split_seed", int, 0, "which examples test, where the rule draws them", low=0),
        Key(
            "rehearse",
            str,
            "",
            "cut the training part down to the counts of this poorer stage, and test on the rest of it: "
            "what is chosen there saw no test image",
            pattern=_COLUMN_OR_NOT,
        ),
        Key(
            "rehearse_by",
            str,
            "",
            "rehearse: a column of which no value is learned and tested (of titles: their first word)",
            pattern=_COLUMN_OR_NOT,
        ),
        Key("rehearse_seed", int, 0, "rehearse: which training images test", low=0),
        Key("labels", str, GIVEN, "a table of reviewed labels (bench clean writes one)", pattern=_COLUMN),
        Key(
            "noise",
            str,
            "none",
            "wrong labels planted into train: any other class, the next one, or one taken for it",
            choices=("none", "uniform", "pair", "confusion"),
        ),
        Key(
            "noise_rate",
            float,
            0.0,
            "share of the training labels that are planted wrong",
            low=0.0,
            high=0.95,
        ),
        Key("noise_seed", int, 0, "which labels are planted wrong", low=0),
        Key(
            "hide",
            str,
            "none",
            "known cells of train taken for unknown: at random, or more where another column says so",
            choices=("none", "random", "column"),
        ),
        Key("hide_rate", float, 0.0, "share of the known training cells that are hidden", low=0.0, high=0.95),
        Key("hide_by", str, "", "the column that hiding depends on, for hide=column", pattern=_COLUMN_OR_NOT),
        Key("hide_seed", int, 0, "which cells are hidden", low=0),
        Key(
            "pairs",
            str,
            "auto",
            "which pairs: LFW's View 1 or View 2 as listed, or made; auto: View 1 where it is listed",
            choices=("auto", "view1", "view2", "made"),
        ),
        Key(
            "train_pairs",
            int,
            4000,
            "made pairs that train or validate, half of one person",
            low=4,
            high=10_000_000,
        ),
        Key("test_pairs", int, 500, "made pairs that test, half of one person", low=2, high=10_000_000),
        Key("pair_balance", bool, False, "made pairs show each person about equally often"),
        Key("duplicates", str, "keep", "test images whose bytes are also in train", choices=("keep", "drop")),
    )
}


def defaults() -> dict[str, Value]:
    """Return every key at its default."""
    return {name: key.default for name, key in KEYS.items()}


def check(name: str, value: Value, where: str) -> Value:
    """Return the value as its key's type. Raises BenchError naming `where` it was written."""
    if name not in KEYS:
        raise unknown("protocol key", name, KEYS, where)
    key = KEYS[name]
    if key.type is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not key.type:
        raise BenchError(f"{where}: {name} takes {_kind(key)}, not {value!r}")
    if isinstance(value, float) and not math.isfinite(value):
        raise BenchError(f"{where}: {name} takes a finite number, not {value!r}")
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if key.low is not None and value < key.low:
            raise BenchError(f"{where}: {name} is at least {key.low:g}, not {value:g}")
        if key.high is not None and value > key.high:
            raise BenchError(f"{where}: {name} is at most {key.high:g}, not {value:g}")
    if key.choices and value not in key.choices:
        raise unknown(f"value of {name}", str(value), key.choices, f"one of {', '.join(key.choices)}")
    if key.pattern and not re.fullmatch(key.pattern, str(value)):
        raise BenchError(f"{where}: {name} takes {key.help.split(': ')[-1]}, not {value!r}")
    return value


def _kind(key: Key) -> str:
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}
    return f"one of {', '.join(key.choices)}" if key.choices else names[key.type]


def resolve(*layers: Mapping[str, Value]) -> tuple[tuple[str, Value], ...]:
    """Merge the defaults and the layers, later ones winning, into sorted (key, value) pairs."""
    merged = defaults()
    for layer in layers:
        merged.update(layer)
    return tuple(sorted(merged.items()))


_OF_REHEARSALS = ("rehearse_by", "rehearse_seed")


def check_together(setting: Mapping[str, Value]) -> None:
    """Raise BenchError for values that make no sense together."""
    planted, rate = setting["noise"] != "none", float(setting["noise_rate"] or 0.0)
    if planted != (rate > 0.0):
        lacks = f"noise={setting['noise']} needs noise_rate" if planted else "noise_rate needs noise"
        raise BenchError(f"--set {lacks}: for example --set noise=uniform --set noise_rate=0.2")
    hidden, rate = setting["hide"] != "none", float(setting["hide_rate"] or 0.0)
    if hidden != (rate > 0.0):
        lacks = f"hide={setting['hide']} needs hide_rate" if hidden else "hide_rate needs hide"
        raise BenchError(f"--set {lacks}: for example --set hide=random --set hide_rate=0.3")
    if (setting["hide"] == "column") != (setting["hide_by"] != ""):
        raise BenchError("--set hide=column and hide_by go together: for example --set hide_by=season")
    if not setting["rehearse"] and (idle := [key for key in _OF_REHEARSALS if setting[key]]):
        raise BenchError(f"--set {idle[0]} says how a rehearsal is parted: add --set rehearse=STAGE")
    if setting["rehearse"] and setting["staged"]:
        raise BenchError("--set rehearse=STAGE is of one stage alone: leave staged=true out")
    if setting["rehearse"] and planted:
        raise BenchError(
            f"--set rehearse=STAGE tests on training images, and noise={setting['noise']} would plant wrong "
            "labels into them: leave one of the two out"
        )


def image_size(value: Value, native: tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) for an `input_size` value.

    >>> image_size("350x450", (224, 224)), image_size("64", (224, 224)), image_size("native", (224, 224))
    ((350, 450), (64, 64), (224, 224))
    """
    if value == "native":
        return native
    height, _, width = str(value).partition("x")
    return int(height), int(width or height)
