"""Few-shot classification on frozen features: choice of classes and images, evaluation, table."""

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

from bench.backbones.engine_choice import with_engine
from bench.backbones.inputs import frozen_inputs, pixels_for
from bench.backbones.names import joined_name, resolve_backbones
from bench.backbones.problems import problem_with
from bench.core.cell import Value, finite
from bench.core.errors import BenchError, DataError, nearest
from bench.core.kind import get_kind
from bench.core.progress import Progress
from bench.core.protocol import resolve
from bench.core.protocol_checks import check_together
from bench.core.stage_values import NAMED
from bench.core.table import Column, Table
from bench.data.labels import Parts
from bench.data.pixels import Pixels
from bench.inference.class_lists import TEST, TRAIN, read_classes
from bench.inference.episodes import LEARNERS, draw_episodes, score_episodes
from bench.runs.open_task import open_task
from bench.runs.plan import Request, refuse_code

_FEATURE_KEYS = (
    *("input_size", "resize", "crop", "preprocess", "engine", "precision"),
    *("layers", "pool", "unit_fields", "mirror"),
)
"""The protocol keys of features."""

_ALLOWED_KEYS = (
    *("source", "labels", "split", "split_column", "test_fraction", "split_seed"),
    *_FEATURE_KEYS,
)
"""The protocol keys that may be set: those of data, split and features."""

Z95 = NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class EpisodeSettings:
    """Settings of the episodes. classes: a file with class lists, or None to split the classes by seed."""

    way: int
    shots: tuple[int, ...]
    queries: int
    episodes: int
    seed: int
    classes: Path | None = None

    @property
    def units(self) -> int:
        """Number of test images, each of its own group, that a class needs."""
        return max(self.shots) + self.queries


@dataclass(frozen=True)
class Classes:
    """The sorted names of meta-train and meta-test classes, with their images.

    units: for each meta-test class, positions of test images by group. fitted: positions of the training
    images of the meta-train classes.
    """

    train: tuple[str, ...]
    test: tuple[str, ...]
    units: tuple[tuple[np.ndarray, ...], ...]
    fitted: np.ndarray


@dataclass(frozen=True)
class FewShot:
    """Result. right: by backbone, (episodes, shots, learners) numbers of right answers.

    copies: images left out as duplicates.
    """

    task: str
    source: str
    fingerprint: str
    weights: str
    setting: Mapping[str, Value]
    ask: EpisodeSettings
    classes: Classes
    copies: int
    right: Mapping[str, np.ndarray]


def few_shot(
    request: Request, tasks: Sequence[Path], cache: Path, ask: EpisodeSettings, progress: Progress
) -> FewShot:
    """Evaluate each backbone of the request, by default those of the card, on the same episodes.

    request: task, data, backbones, weights and settings. Features are centred by their mean over the training
    images of meta-train classes; episodes use test images of meta-test classes. At most one of several
    byte-identical images is used, so that none is in support and queries. Raises BenchError for a backbone
    without features, and for an unsuitable task or classes.
    """
    card, examples = open_task(request, tasks, cache)
    if "episodes" not in get_kind(card.kind).supports:
        raise BenchError(f"{card.name} is {card.kind}; episodes need one class per image")
    asked = request.backbones or card.grids["data"].backbones
    refuse_code(card, request, asked)
    found = resolve_backbones(asked, request.allow_code)
    names = {joined_name(one): one for one in found}
    every = [info for one in found for info in one]
    setting = with_engine(every, "frozen", dict(resolve(*card.layers("frozen", request.settings))))
    check_together(setting)
    if setting["noise"] != "none":
        raise BenchError(f"--set noise={setting['noise']}: episodes use the data's own labels")
    if unused := [key for key in request.settings if key not in (NAMED, *_ALLOWED_KEYS)]:
        raise BenchError(f"--set {unused[0]} has no effect on episodes; use {', '.join(_ALLOWED_KEYS)}")
    weights = request.weights or "imagenet"
    for name, own in names.items():
        if (why := problem_with(own, "frozen", weights, setting)) is not None:
            raise BenchError(f"{name}: {why}")
    lists = None if ask.classes is None else read_classes(ask.classes)
    parts = Parts(card, examples, setting)
    pixels: dict[str, Pixels] = {}
    for name, own in names.items():
        pixels[name] = pixels_for(own[0], setting, examples, cache, progress)
    readable = np.logical_and.reduce([one.ok for one in pixels.values()])
    usable, copies = without_copies(parts.given, examples.images.content_hashes(), parts.train, readable)
    classes = choose_classes(parts, usable, ask, lists)
    drawn = draw_episodes(classes.units, ask.way, max(ask.shots), ask.queries, ask.episodes, ask.seed)
    right = {}
    for name, own in names.items():
        features = frozen_inputs(own, weights, setting, examples, cache, progress).features
        centre = np.asarray(features[classes.fitted], np.float64).mean(axis=0)
        rows = []
        # The matrix products are small; several threads would slow them down.
        with threadpool_limits(1, "blas"):
            for done, one in enumerate(score_episodes(features, centre, drawn, ask.shots), 1):
                rows.append(one)
                progress(done, ask.episodes, f"episodes on {name}")
        right[name] = np.stack(rows)
    origin = card.name, examples.source, examples.fingerprint, weights, setting
    return FewShot(*origin, ask, classes, copies, right)


def without_copies(
    labels: Sequence[str], hashes: Sequence[str], train: np.ndarray, readable: np.ndarray
) -> tuple[np.ndarray, int]:
    """Return the usable images, (n,) bool, and the number of duplicates left out.

    One of several byte-identical images is used, a training image if there is one; none if labels differ.
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
    parts: Parts, usable: np.ndarray, ask: EpisodeSettings, lists: Mapping[str, tuple[str, ...]] | None
) -> Classes:
    """Return the meta-train and meta-test classes.

    lists: of `read_classes`, or None: then half of the classes with enough images (rounded up, at least
    `way`), drawn by the seed, are meta-test. Without a list, all other classes are meta-train. Raises
    BenchError or DataError if there are too few.
    """
    labels = np.array(parts.given, dtype=object)
    known = sorted({label for label in parts.given if label})
    units = _units(parts, usable & ~parts.train)
    enough = [name for name in known if len(units.get(name, ())) >= ask.units]
    needs = f"{max(ask.shots)} shots and {ask.queries} queries"
    if lists is None:
        if len(enough) < ask.way:
            raise DataError(
                f"{len(enough)} classes have the {ask.units} separate test images that {needs} need, but "
                f"{ask.way}-way episodes need {ask.way} classes; reduce one of these or add data"
            )
        order = np.random.Generator(np.random.PCG64(ask.seed)).permutation(len(enough))
        test = [enough[place] for place in order[: max(ask.way, math.ceil(len(enough) / 2))].tolist()]
        lists = {TEST: tuple(test)}
    for name in (*lists[TEST], *lists.get(TRAIN, ())):
        if name not in known:
            raise DataError(f"{ask.classes}: no image of class {name[:80]!r}{nearest(name, known)}")
    for name in lists[TEST]:
        if name not in enough:
            raise DataError(
                f"{ask.classes}: class {name[:80]!r} has {len(units.get(name, ()))} separate test images, "
                f"{needs} need {ask.units}"
            )
    if len(lists[TEST]) < ask.way:
        raise BenchError(
            f"{ask.classes}: {len(lists[TEST])} {TEST} classes are too few for {ask.way}-way episodes"
        )
    test = sorted(lists[TEST])
    train = sorted(lists.get(TRAIN, tuple(name for name in known if name not in lists[TEST])))
    fitted = np.flatnonzero(usable & parts.train & np.isin(labels, train))
    if not len(fitted):
        raise DataError(f"the {len(train)} {TRAIN} classes have no training image to centre features by")
    return Classes(tuple(train), tuple(test), tuple(tuple(units[name]) for name in test), fitted)


def _units(parts: Parts, usable: np.ndarray) -> dict[str, list[np.ndarray]]:
    """Return the positions of usable images by class and group."""
    found: dict[str, dict[str, list[int]]] = {}
    for row in np.flatnonzero(usable).tolist():
        unit = parts.examples.items[row] if parts.groups is None else parts.groups[row]
        found.setdefault(parts.given[row], {}).setdefault(unit, []).append(row)
    return {label: [np.array(rows) for rows in own.values()] for label, own in found.items()}


def rows_of(found: FewShot) -> list[dict[str, Any]]:
    """Return one row per backbone, learner and shot: mean accuracy over episodes and its 95% interval.

    The interval is the mean +- `half`, 1.96 standard errors, clipped to [0, 1]; None for a single episode.
    """
    rows = []
    for backbone, right in found.right.items():
        shares = right / (found.ask.way * found.ask.queries)
        for column, learner in enumerate(LEARNERS):
            for index, shot in enumerate(found.ask.shots):
                own = shares[:, index, column]
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
    """Return the table, with notes on classes and images."""
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
        "±, low, high: 95% interval of the mean over episodes, which share images and classes: it does not "
        "cover other classes or images.",
    ]
    if found.weights != "random":
        notes.append("No label of these classes was used for training here, but perhaps for the weights.")
    if found.copies:
        notes.append(f"{found.copies} images are left out as duplicates.")
    title = f"{found.task}: {ask.way}-way, {ask.episodes} episodes, seed {ask.seed}"
    return Table(title, columns, rows_of(found), notes)


def few_shot_json(found: FewShot) -> str:
    """Return the whole result as strict JSON: rows, classes, settings and right answers by episode."""
    ask, classes = found.ask, found.classes
    whole = {
        "task": found.task,
        "data": {"source": found.source, "fingerprint": found.fingerprint},
        "weights": found.weights,
        "protocol": {key: found.setting[key] for key in _FEATURE_KEYS},
        **{key: getattr(ask, key) for key in ("way", "shots", "queries", "episodes", "seed")},
        TRAIN: classes.train,
        TEST: {name: len(units) for name, units in zip(classes.test, classes.units, strict=True)},
        "copies_left_out": found.copies,
        "rows": rows_of(found),
        "right": {name: right.tolist() for name, right in found.right.items()},
        "right_axes": ["episode", "shot", "row of a backbone"],
    }
    return json.dumps(finite(whole), allow_nan=False) + "\n"
