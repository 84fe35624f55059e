"""Few-shot classification on frozen features: which classes and images it is measured on, and its table."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from bench.class_lists import TEST, TRAIN, read_classes
from bench.data.parts import Parts
from bench.data.pixels import Pixels
from bench.episodes import LEARNERS, draw_episodes, score_episodes
from bench.errors import BenchError, DataError, nearest
from bench.models.backbones import parts_of, problem_with
from bench.models.inputs import frozen_inputs, pixels_for
from bench.plan import Request, open_task
from bench.progress import Progress
from bench.protocol import check_together, resolve
from bench.report.table import Column, Table
from bench.spec import Value, finite
from bench.staged import NAMED

_LOOKED_AT = (
    *("input_size", "resize", "crop", "preprocess", "engine"),
    *("layers", "pool", "unit_fields", "mirror"),
)
"""The protocol keys on which features depend."""

_TAKEN = (
    *("source", "labels", "split", "split_column", "test_fraction", "split_seed"),
    *_LOOKED_AT,
)
"""The protocol keys that may be set: those, and what says which images there are and which test."""

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Ask:
    """What is measured. classes: a file with the class lists, or None to split the classes by the seed."""

    way: int
    shots: tuple[int, ...]
    queries: int
    episodes: int
    seed: int
    classes: Path | None = None

    @property
    def units(self) -> int:
        """How many images of its own a class must have in the test part."""
        return max(self.shots) + self.queries


@dataclass(frozen=True)
class Classes:
    """The names of the classes on either side, sorted, and of each in `test` the images that can be drawn.

    units: of each meta-test class, positions of test images that belong together. fitted: positions of the
    training images of the meta-train classes.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    units: tuple[tuple[np.ndarray, ...], ...]
    fitted: np.ndarray


@dataclass(frozen=True)
class FewShot:
    """What was measured. right: by backbone, (episodes, shots, learners) queries answered rightly.

    copies: images left out, because another one has the same bytes.
    """

    task: str
    source: str
    fingerprint: str
    weights: str
    setting: Mapping[str, Value]
    ask: Ask
    classes: Classes
    copies: int
    right: Mapping[str, np.ndarray]


def few_shot(request: Request, tasks: Sequence[Path], cache: Path, ask: Ask, progress: Progress) -> FewShot:
    """Measure each backbone of the request, by default those of the card, on the same episodes.

    request: task, data, backbones, weights and settings. What is fitted (the mean that features are centred
    by) sees the training part of the meta-train classes, what is drawn are test images of the meta-test
    classes, and of images with the same bytes one at most is used, so that none is in support and queries.
    Raises BenchError where a backbone cannot give features, and for a task or classes that do not serve.
    """
    card, examples = open_task(request, tasks, cache)
    if card.kind != "multiclass":
        raise BenchError(f"{card.name} is {card.kind}; episodes need one class per image")
    setting = dict(resolve(*card.layers("frozen", request.settings)))
    check_together(setting)
    if setting["noise"] != "none":
        raise BenchError(f"--set noise={setting['noise']}: episodes have the labels that the data gives")
    if idle := [key for key in request.settings if key not in (NAMED, *_TAKEN)]:
        raise BenchError(f"--set {idle[0]} means nothing to episodes, which look at {', '.join(_TAKEN)}")
    names = dict.fromkeys(request.backbones or card.grids["data"].backbones)
    weights = request.weights or "imagenet"
    for name in names:
        if (why := problem_with(parts_of(name), "frozen", weights, setting)) is not None:
            raise BenchError(f"{name}: {why}")
    lists = None if ask.classes is None else read_classes(ask.classes)
    parts = Parts(card, examples, setting)
    pixels: dict[str, Pixels] = {}
    for name in names:
        pixels[name] = pixels_for(parts_of(name)[0], setting, examples, cache, progress)
    readable = np.logical_and.reduce([one.ok for one in pixels.values()])
    usable, copies = without_copies(parts.given, examples.images.content_hashes(), parts.train, readable)
    classes = choose_classes(parts, usable, ask, lists)
    drawn = draw_episodes(classes.units, ask.way, max(ask.shots), ask.queries, ask.episodes, ask.seed)
    right = {}
    for name in names:
        features = frozen_inputs(parts_of(name), weights, setting, examples, cache, progress).features
        centre = np.asarray(features[classes.fitted], np.float64).mean(axis=0)
        rows = []
        # The products of an episode are small: threads would wait for each other longer than they work.
        with threadpool_limits(1, "blas"):
            for done, one in enumerate(score_episodes(features, centre, drawn, ask.shots), 1):
                rows.append(one)
                progress(done, ask.episodes, f"episodes on {name}")
        right[name] = np.stack(rows)
    told = card.name, examples.source, examples.fingerprint, weights, setting
    return FewShot(*told, ask, classes, copies, right)


def without_copies(
    labels: Sequence[str], hashes: Sequence[str], train: np.ndarray, readable: np.ndarray
) -> tuple[np.ndarray, int]:
    """Return which of n images can be used, (n,) bool, and how many could but for others of the same bytes.

    Of images with the same bytes one is used, of the training part where it has any; none where their labels
    differ.
    """
    labelled = readable & np.array([label != "" for label in labels], dtype=bool)
    same: dict[str, list[int]] = {}
    for row in sorted(np.flatnonzero(labelled).tolist(), key=lambda row: not train[row]):
        same.setdefault(hashes[row], []).append(row)
    usable = np.zeros(len(labels), bool)
    for rows in same.values():
        usable[rows[0]] = len({labels[row] for row in rows}) == 1
    return usable, int(labelled.sum() - usable.sum())


def choose_classes(
    parts: Parts, usable: np.ndarray, ask: Ask, lists: Mapping[str, tuple[str, ...]] | None
) -> Classes:
    """Return which classes episodes are drawn from, and what is fitted on the others.

    lists: as `read_classes` returns them, or None: then half of the classes with enough images (rounded up,
    and at least as many as an episode has), drawn by the seed, are meta-test. Meta-train are all classes that
    are not meta-test, where no list says otherwise. Raises BenchError or DataError where there are too few.
    """
    labels = np.array(parts.given, dtype=object)
    known = sorted({label for label in parts.given if label})
    units = _units(parts, usable & ~parts.train)
    enough = [name for name in known if len(units.get(name, ())) >= ask.units]
    needs = f"{max(ask.shots)} shots and {ask.queries} queries"
    if lists is None:
        if len(enough) < ask.way:
            raise DataError(
                f"{len(enough)} classes have {ask.units} test images of their own, which {needs} take, and "
                f"{ask.way}-way episodes need {ask.way}; ask for less or add data"
            )
        order = np.random.Generator(np.random.PCG64(ask.seed)).permutation(len(enough))
        test = [enough[place] for place in order[: max(ask.way, math.ceil(len(enough) / 2))].tolist()]
        lists = {TEST: tuple(test)}
    for name in (*lists[TEST], *lists.get(TRAIN, ())):
        if name not in known:
            raise DataError(f"{ask.classes}: no image is {name[:80]!r}{nearest(name, known)}")
    for name in lists[TEST]:
        if name not in enough:
            raise DataError(
                f"{ask.classes}: class {name[:80]!r} has {len(units.get(name, ()))} test images of its own, "
                f"{needs} take {ask.units}"
            )
    if len(lists[TEST]) < ask.way:
        raise BenchError(
            f"{ask.classes}: {len(lists[TEST])} {TEST} classes are too few for {ask.way}-way episodes"
        )
    test = sorted(lists[TEST])
    train = sorted(lists.get(TRAIN, tuple(name for name in known if name not in lists[TEST])))
    fitted = np.flatnonzero(usable & parts.train & np.isin(labels, train))
    if not len(fitted):
        raise DataError(
            f"the {len(train)} {TRAIN} classes have no training image, and features are centred by theirs"
        )
    return Classes(tuple(train), tuple(test), tuple(tuple(units[name]) for name in test), fitted)


def _units(parts: Parts, usable: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Return by class the positions of usable images, those of one group together."""
    found: dict[str, dict[str, list[int]]] = {}
    for row in np.flatnonzero(usable).tolist():
        unit = parts.examples.items[row] if parts.groups is None else parts.groups[row]
        found.setdefault(parts.given[row], {}).setdefault(unit, []).append(row)
    return {label: [np.array(rows) for rows in own.values()] for label, own in found.items()}


def rows_of(found: FewShot) -> list[dict[str, Any]]:
    """Return one row per backbone, learner and shot: mean accuracy over episodes and its 95% interval.

    The interval is the mean and `half`, 1.96 standard errors, on either side, cut off at 0 and 1; None for a
    single episode.
    """
    rows = []
    for backbone, right in found.right.items():
        shares = right / (found.ask.way * found.ask.queries)
        for column, learner in enumerate(LEARNERS):
            for place, shot in enumerate(found.ask.shots):
                own = shares[:, place, column]
                mean, half = float(own.mean()), None
                if len(own) > 1:
                    half = Z95 * float(own.std(ddof=1)) / math.sqrt(len(own))
                rows.append(
                    {
                        "backbone": backbone,
                        "method": learner.method,
                        "features": learner.features,
                        "distance": learner.distance or None,
                        "shot": shot,
                        "accuracy": mean,
                        "half": half,
                        "low": None if half is None else max(mean - half, 0.0),
                        "high": None if half is None else min(mean + half, 1.0),
                    }
                )
    return rows


def few_shot_table(found: FewShot) -> Table:
    """Return the table, with what it was measured on below it."""
    ask, classes = found.ask, found.classes
    images = sum(len(unit) for units in classes.units for unit in units)
    columns = (
        Column("backbone", "backbone"),
        Column("method", "method"),
        Column("features", "features"),
        Column("distance", "distance"),
        Column("shot", "shot", "int"),
        Column("accuracy", "accuracy", "ratio"),
        Column("half", "±", "ratio"),
        Column("low", "low", "ratio"),
        Column("high", "high", "ratio"),
    )
    notes = [
        f"{ask.queries} queries per class; the same episodes for every row; chance is {1 / ask.way:.3f}.",
        f"meta-test: {len(classes.test)} classes with {images} test images. Features are centred by the mean "
        f"of {len(classes.fitted)} training images of the {len(classes.train)} meta-train classes.",
        "±, low, high: 95% of the mean over episodes. Episodes share images and classes: it is no interval "
        "over other classes or images.",
    ]
    if found.weights != "random":
        notes.append(
            "No label of these classes was trained on here; what the weights were trained on may know them."
        )
    if found.copies:
        notes.append(f"{found.copies} images are left out: another one has the same bytes.")
    title = f"{found.task}: {ask.way}-way, {ask.episodes} episodes, seed {ask.seed}"
    return Table(title, columns, rows_of(found), notes)


def few_shot_json(found: FewShot) -> str:
    """Return all of it as strict JSON text: rows, classes, settings and each episode's right answers."""
    ask, classes = found.ask, found.classes
    whole = {
        "task": found.task,
        "data": {"source": found.source, "fingerprint": found.fingerprint},
        "weights": found.weights,
        "protocol": {key: found.setting[key] for key in _LOOKED_AT},
        **{key: getattr(ask, key) for key in ("way", "shots", "queries", "episodes", "seed")},
        TRAIN: classes.train,
        TEST: {name: len(units) for name, units in zip(classes.test, classes.units, strict=True)},
        "copies_left_out": found.copies,
        "rows": rows_of(found),
        "right": {name: right.tolist() for name, right in found.right.items()},
        "right_axes": ["episode", "shot", "row of a backbone"],
    }
    return json.dumps(finite(whole), allow_nan=False) + "\n"
