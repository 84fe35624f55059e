"""Whatever happens to the files of a cache, a run answers as it does without one, and says so in one line."""

from __future__ import annotations

import json
import logging
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.core.cell import Cell
from bench.core.paths import search_path
from bench.data.sources import SOURCES
from bench.runs.launch import WorkOrder
from bench.runs.open_task import open_task
from bench.runs.plan import Request, make_plan
from bench.runs.worker import run_order
from bench.store.write import Store

Answers = dict[str, tuple[bytes, bytes]]


class Said(logging.Handler):
    """Collects warnings as a user sees them."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@dataclass
class Grid:
    """A cold run on drawn photos in a folder, whose cache is copied and damaged."""

    folder: Path
    request: Request
    cells: list[Cell]
    cold: Answers

    def run(self, name: str) -> tuple[Answers, list[str]]:
        """Run the cells on the cache of this name; return what they answer, and what is said."""
        said = Said()
        results = self.folder / f"results-{name}"
        order = WorkOrder(self.request, search_path("tasks"), self.folder / name, results, "a test")
        log = logging.getLogger("bench")
        log.addHandler(said)
        try:
            run_order(json.loads(order.text(self.cells)), lambda kind, **fields: None)
        finally:
            log.removeHandler(said)
        stored, problems = Store(results).load()
        assert not problems and [cell.record["status"] for cell in stored] == ["ok"] * len(self.cells)
        answers = {
            cell.id: (cell.predictions("val").scores.tobytes(), cell.predictions("test").scores.tobytes())
            for cell in stored
        }
        shutil.rmtree(results)
        return answers, said.lines

    def copy(self, name: str) -> Path:
        """Copy the cold run's cache; times stay, as hashes of files that look changed are not believed."""
        return Path(shutil.copytree(self.folder / "cold", self.folder / name))


@pytest.fixture(scope="module")
def grid(tmp_path_factory: pytest.TempPathFactory) -> Grid:
    pytest.importorskip("skimage", reason="hog needs scikit-image")
    folder = tmp_path_factory.mktemp("damage")
    SOURCES["kaggle-fashion"].write(SOURCES["kaggle-fashion"].draw("tiny"), folder / "data")
    request = Request(
        task="fashion",
        data=folder / "data",
        backbones=("hog", "grey"),
        methods=("none",),
        stages=("top20",),
        seeds="0",
        settings={"epochs": 3},
    )
    card, examples = open_task(request, search_path("tasks"), folder / "cold")
    cells = list(make_plan(card, request, examples).cells)
    grid = Grid(folder, request, cells, {})
    grid.cold, said = grid.run("cold")
    assert len(grid.cold) == len(cells) == 2 and not said
    return grid


def _flip(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    for place in range(len(raw) // 2, len(raw)):
        raw[place] ^= 0xFF
    path.write_bytes(raw)


def _flip_one(path: Path) -> None:
    raw = bytearray(path.read_bytes())
    raw[len(raw) * 2 // 3] ^= 1
    path.write_bytes(raw)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def _garbage(path: Path) -> None:
    path.write_bytes(b"{\x00?" * (path.stat().st_size // 3 + 1))


DAMAGE: dict[str, Callable[[Path], object]] = {
    "inverted half": _flip,
    "one bit": _flip_one,
    "cut off": _cut,
    "empty": lambda path: path.write_bytes(b""),
    "garbage": _garbage,
    "missing": Path.unlink,
}

QUICK = ("one bit",)
"""What `make test` does; the others take long only because they are many."""

FILES = (
    *("pixels/96*/pixels.u8", "pixels/96*/pixels.json", "pixels/96*/digests.xxh3"),
    *("features/hog*/features.npy", "features/hog*/features.json", "features/hog*/digests.xxh3"),
    "hashes/*.bin",
)


@pytest.mark.parametrize(
    "damage", [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in DAMAGE]
)
@pytest.mark.parametrize("file", FILES)
def test_damage_changes_no_answer_and_is_said(grid: Grid, file: str, damage: str) -> None:
    name = f"{file.replace('/', '-').replace('*', '')}-{damage}"
    cache = grid.copy(name)
    if file.startswith("pixels"):
        # Pixels are read for features alone.
        shutil.rmtree(cache / "features")
    for path in cache.glob(file):
        DAMAGE[damage](path)
    answers, said = grid.run(name)
    assert answers == grid.cold
    if file.startswith("hashes") and damage == "missing":
        assert said == []
    else:
        [line] = said
        kind = {"p": "pixel cache 96x96", "f": "features cache hog", "h": f"hashes of {grid.folder}/data"}
        assert line.startswith(kind[file[0]]) and " again" in line
    assert grid.run(name) == (grid.cold, [])
    shutil.rmtree(cache)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("features/hog*/features.npy", "features/grey*/features.npy"),
        ("features/hog*/digests.xxh3", "features/grey*/digests.xxh3"),
        ("features/hog*/features.json", "features/grey*/features.json"),
        ("features/hog*[0-9a-f]", "features/grey*[0-9a-f]"),
        ("pixels/96*/pixels.u8", "features/hog*/features.npy"),
    ],
)
def test_swapped_files_change_no_answer(grid: Grid, one: str, other: str) -> None:
    cache = grid.copy("swapped")
    [first], [second] = (list(cache.glob(pattern)) for pattern in (one, other))
    aside = cache / "aside"
    first.rename(aside)
    second.rename(first)
    aside.rename(second)
    answers, said = grid.run("swapped")
    assert answers == grid.cold
    assert len(said) == 2
    shutil.rmtree(cache)


def test_the_cache_of_an_older_version_is_built_again(grid: Grid) -> None:
    """Without digests, as they were before there were any."""
    import json

    cache = grid.copy("older")
    for path in cache.glob("*/*/*.json"):
        told = json.loads(path.read_text(encoding="utf-8"))
        for key in ("format", "name", "rows", "digest"):
            del told[key]
        path.write_text(json.dumps(told), encoding="utf-8")
    for path in cache.glob("*/*/digests.xxh3"):
        path.unlink()
    answers, said = grid.run("older")
    assert answers == grid.cold
    assert len(said) >= 2 and all("it is of an older version; it is built again" in line for line in said)
    shutil.rmtree(cache)
