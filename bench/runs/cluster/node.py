"""Tasks of a node: feature extraction in blocks, and training of whole nets."""

from __future__ import annotations

import atexit
import os
import pickle
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from bench.backbones.feature_cache import Extraction
from bench.core import environment
from bench.core.errors import BenchError, DataError
from bench.core.paths import cache_dir, keep_library_files
from bench.data.cache.folders import DIGESTS_FILE, RowFolder
from bench.data.cache.rows import CheckedRows, RowFile, RowLayout
from bench.data.cache.sealed import Damaged
from bench.data.examples import Examples, ImageError
from bench.data.pixels import META_FILE, Pixels
from bench.data.task_card import TaskCard
from bench.runs import launch
from bench.runs.cluster.setup import LocalFiles, check_versions, relocated, unpack_files, unpack_modules
from bench.runs.plan import Request, make_plan
from bench.runs.temporary_folders import scratch_folder
from bench.store.write import Store

Files = Mapping[str, bytes]

MISSING = "missing"
"""Result of a node without the decoded images: the task is submitted again with them."""


@dataclass(frozen=True)
class Node:
    """Machine of a task. fetch: returns the value of a handle."""

    name: str
    fetch: Callable[[Any], Any]


@dataclass(frozen=True)
class Setup:
    """Requirements that a node checks and loads once. cache: the folder on the driver."""

    versions: Mapping[str, str]
    sent: LocalFiles
    cache: Path


@dataclass(frozen=True, eq=False)
class RemotePixels:
    """Description of decoded images, which nodes read from the cache by path or receive in blocks.

    name: of their folder in the cache, with a digest of the data's fingerprint. meta, digests: the contents
    of its files. rows: layout of the images. checks: their digests. The others as in `Pixels`.
    """

    name: str
    meta: bytes
    digests: bytes
    rows: RowLayout
    checks: np.ndarray
    size: tuple[int, int]
    ok: np.ndarray
    origin: Mapping[str, str]


def remote_pixels(pixels: Pixels) -> RemotePixels:
    """Describe decoded images of this machine's cache. Raises StoreError if they were just removed."""
    file = pixels.rows.file
    folder = file.path.parent
    meta, digests = (folder / META_FILE).read_bytes(), (folder / DIGESTS_FILE).read_bytes()
    return RemotePixels(
        folder.name, meta, digests, file.layout, file.digests, pixels.size, pixels.ok, dict(pixels.origin)
    )


@dataclass(frozen=True, eq=False)
class FeaturePass:
    """A backbone's pass over images. token: a unique id. extraction: without images."""

    token: str
    setup: Setup
    extraction: Extraction
    pixels: RemotePixels


@dataclass(frozen=True, eq=False)
class NetTask:
    """Training of whole nets of one backbone. near: name and content of the file of near duplicates."""

    setup: Setup
    request: Request
    card: TaskCard
    examples: Examples
    pixels: RemotePixels
    near: tuple[str, bytes] | None
    command: str
    keep: bool


@dataclass(frozen=True)
class RemoteImages:
    """Images on another machine: only their hashes are known."""

    hashes: tuple[str, ...]

    def read(self, index: int) -> np.ndarray:
        """Raise ImageError."""
        raise ImageError("on another machine")

    def content_hashes(self) -> tuple[str, ...]:
        """Return one hash per image."""
        return self.hashes


class BlockRows:
    """Images from the cache, or of one received block."""

    def __init__(self, file: CheckedRows | None) -> None:
        self.file = file
        self.positions, self.images = np.zeros(0, np.int64), np.zeros(0, np.uint8)

    def read(self, rows: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Return the images at these positions."""
        if self.file is not None:
            return self.file.read(rows, out)
        return np.ascontiguousarray(self.images[np.searchsorted(self.positions, rows)])


@dataclass
class _Current:
    """The current pass of this process, whose net stays built between blocks."""

    token: str = ""
    extraction: Extraction | None = None
    rows: BlockRows = field(default_factory=lambda: BlockRows(None))


_current = _Current()


def features_of(
    node: Node,
    work: FeaturePass,
    key: Mapping[str, Any],
    positions: np.ndarray,
    view: int | None,
    mirrored: bool,
    images: np.ndarray | None,
) -> np.ndarray | str:
    """Return the backbone's rows for the images at (m,) positions, or MISSING.

    key: cache key of the rows on the driver. images: the images, if they are sent. Raises BenchError if this
    machine has another key, and the errors of `Extraction.outputs`.
    """
    if _current.token != work.token:
        placed = prepare(node, work.setup)
        info, weights = relocated(work.extraction.info, work.extraction.weights, placed)
        rows = BlockRows(_cached(work.setup, work.pixels))
        # `BlockRows` replaces the rows of a cache file.
        pixels = Pixels(work.pixels.name, work.pixels.size, work.pixels.ok, {}, {}, rows, work.pixels.origin)  # type: ignore[arg-type]
        _current.extraction = replace(work.extraction, pixels=pixels, info=info, weights=weights)
        _current.rows, _current.token = rows, work.token
    extraction, rows = _current.extraction, _current.rows
    assert extraction is not None
    if images is not None:
        rows.file, rows.positions, rows.images = None, positions, images
    elif rows.file is None:
        return MISSING
    local = extraction.key(view, mirrored)
    if local != key:
        other = ", ".join(sorted(name for name in {**local, **key} if local.get(name) != key.get(name)))
        raise BenchError(f"node {node.name} would compute other features than this machine asks for: {other}")
    try:
        return np.concatenate([found for _, found in extraction.outputs(positions, view, mirrored)])
    except Damaged:
        rows.file = None
        return MISSING


def train(
    node: Node, work: NetTask, wanted: Sequence[str], blocks: Sequence[Any] | None
) -> list[tuple[launch.Event, Files]] | str:
    """Train cells; return the event and the files of each, or MISSING.

    blocks: handles of the images in blocks, if they are sent. Failed cells are returned too; see
    `bench.runs.launch.execute`.
    """
    placed = prepare(node, work.setup)
    own = _cache(work.setup)
    if _cached(work.setup, work.pixels) is None:
        if blocks is None:
            return MISSING
        _receive(own, work.pixels, (node.fetch(block) for block in blocks))
    if work.near is not None and not (own / work.near[0]).exists():
        (own / work.near[0]).parent.mkdir(parents=True, exist_ok=True)
        (own / work.near[0]).write_bytes(work.near[1])
    request = _relocated_request(work.request, placed, unpack_modules(work.setup.sent, process_folder()))
    plan = make_plan(work.card, request, work.examples)
    cells = [cell for cell in plan.cells if cell.id in set(wanted)]
    if len(cells) != len(wanted):
        raise DataError(
            f"node {node.name} plans other cells than this machine: install the same versions there"
        )
    mine = tuple(job for job in (job.only(set(wanted)) for job in plan.jobs) if job.cells)
    events: list[launch.Event] = []
    with scratch_folder() as folder:
        sent = folder / "examples"
        sent.write_bytes(pickle.dumps((work.card, work.examples)))
        order = launch.WorkOrder(
            request, (), own, folder / "results", work.command, work.keep, examples=sent, node=node.name
        )
        launch.execute(replace(plan, jobs=mine), cells, order, events.append)
        stored = {cell.id: Store(folder / "results").find(cell) for cell in cells}
        done = {event["id"]: event for event in events if event["event"] == "cell"}
        return [
            (done[cell_id], {path.name: path.read_bytes() for path in found.folder.iterdir()})
            for cell_id, found in stored.items()
            if found is not None
        ]


def prepare(node: Node, setup: Setup) -> dict[str, str]:
    """Check versions, load plug-ins and unpack files; return the local path of each file by its name.

    Raises BenchError for different versions.
    """
    check_versions(node.name, setup.versions)
    environment.quiet()
    keep_library_files()
    unpack_modules(setup.sent, process_folder())
    return unpack_files(setup.sent, process_folder())


@cache
def process_folder() -> Path:
    """Return the folder for received files, which is removed when this process ends."""
    stack = ExitStack()
    atexit.register(stack.close)
    return stack.enter_context(scratch_folder())


def _cache(setup: Setup) -> Path:
    """Return this machine's cache: BENCH_CACHE, or the folder of the driver's path if it exists."""
    if "BENCH_CACHE" not in os.environ and setup.cache.is_dir():
        return setup.cache
    return cache_dir().absolute()


def _cached(setup: Setup, pixels: RemotePixels) -> CheckedRows | None:
    """Return the images in this machine's cache, or None if they are missing or different."""

    def give_up(bad: RowFile, why: str) -> RowFile:
        raise Damaged(why)

    folder = _cache(setup) / "pixels" / pixels.name
    try:
        if (folder / DIGESTS_FILE).read_bytes() != pixels.digests:
            return None
        file = RowFile(folder / pixels.rows.name, pixels.rows, pixels.checks)
    except OSError:
        return None
    return CheckedRows(file, give_up) if file.length == pixels.rows.size else None


def _receive(own: Path, pixels: RemotePixels, blocks: Any) -> None:
    """Write received images into this machine's cache, under a lock."""
    target = own / "pixels" / pixels.name

    def build() -> None:
        part = target.with_name(f"{target.name}.part")
        part.mkdir(exist_ok=True)
        with (part / pixels.rows.name).open("wb") as file:
            for block in blocks:
                file.write(np.ascontiguousarray(block).data)
        (part / DIGESTS_FILE).write_bytes(pixels.digests)
        (part / META_FILE).write_bytes(pixels.meta)
        part.rename(target)

    RowFolder(target, "pixel cache", META_FILE, {}).ensure(build, tuple)


def _relocated_request(request: Request, placed: Mapping[str, str], loaded: tuple[str, ...]) -> Request:
    """Return the request with local paths instead of the driver's."""
    backbones = request.backbones
    for name, place in placed.items():
        backbones = tuple(text.replace(name, place) for text in backbones)
    weights = None if request.weights is None else placed.get(request.weights, request.weights)
    return replace(request, backbones=backbones, weights=weights, plugins=loaded)
