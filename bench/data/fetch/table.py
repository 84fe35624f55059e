"""Public data sets of the tasks, from `sets.toml`: files, sizes, licences, checksums, layout."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.core.errors import unknown
from bench.core.paths import shipped
from bench.data.task_card import find_cards, read_card


@dataclass(frozen=True)
class RemoteFile:
    """One file to download.

    size: bytes, None if unpublished. sha256: hex digits, None if unpublished: those of the first download are
    then recorded, and compared from then on. unpack: whether it is an archive.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    unpack: bool = False


@dataclass(frozen=True)
class DataSet:
    """One public data set.

    sources: the sources of `bench.data.sources` that read it. licence: None if only its page names one.
    keeps: files and folders of the data folder, searched for in the archives. files: to download. kaggle:
    handle of a data set of Kaggle, instead of files. max_bytes: maximum number of bytes.
    """

    name: str
    title: str
    sources: tuple[str, ...]
    page: str
    keeps: tuple[str, ...]
    licence: str | None = None
    files: tuple[RemoteFile, ...] = ()
    kaggle: str = ""
    max_bytes: int = 4_000_000_000

    @property
    def size(self) -> int | None:
        """Bytes to download, None unless known for every file."""
        sizes = [file.size for file in self.files]
        return None if not sizes or None in sizes else sum(size or 0 for size in sizes)


def _read_sets() -> dict[str, DataSet]:
    raw = tomllib.loads((Path(__file__).parent / "sets.toml").read_text("utf-8"))
    files = {name: RemoteFile(name, **own) for name, own in raw["files"].items()}
    for own in raw["sets"].values():
        own["files"] = [files[name] for name in own.get("files", ())]
    lists = ("sources", "keeps", "files")
    return {
        name: DataSet(name, **{**own, **{key: tuple(own[key]) for key in lists}})
        for name, own in raw["sets"].items()
    }


SETS: Mapping[str, DataSet] = _read_sets()
"""Data sets by name, in the order of `sets.toml`; a task's name stands for its first set."""


def tasks_of(data: DataSet) -> dict[str, tuple[str, ...]]:
    """Return the tasks of this installation that read a set, each with the options for it."""
    found: dict[str, tuple[str, ...]] = {}
    for card in map(read_card, find_cards([shipped("tasks")]).values()):
        if card.source in data.sources:
            found[card.name] = ()
        for name, source in card.sources.items():
            if source in data.sources:
                found.setdefault(card.name, ("--set", f"source={name}"))
    return found


def find_sets(name: str) -> list[DataSet]:
    """Return the sets of a task, or the one set of this name. Raises BenchError for an unknown name."""
    if name in SETS:
        return [SETS[name]]
    tasks = {data.name: tasks_of(data) for data in SETS.values()}
    found = [data for data in SETS.values() if name in tasks[data.name]]
    if not found:
        known = sorted({task for names in tasks.values() for task in names})
        raise unknown(
            "task or data set", name, (*known, *SETS), "bench data fetch --list has those there are"
        )
    return found
