"""Merging of results folders: whole cells are copied and never replace a different result."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from bench.core.errors import BenchError, StoreError
from bench.core.regular_files import read_regular
from bench.core.sealed_json import is_sealed
from bench.store.answers import AnswerDifference, compare_parts
from bench.store.digests import FILES
from bench.store.experiment_file import experiment_files, read_experiment, store_experiment
from bench.store.origin import ORIGIN, origin_file, origin_of
from bench.store.places import answer_folder, answer_number, cell_path
from bench.store.read import (
    NEWER_FORMAT,
    OLDER_FORMAT,
    PREDICTIONS,
    RESULT,
    FileFault,
    Stored,
    read_cell,
)
from bench.store.write import Store

NEW, EQUAL, OTHER, LEFT, DAMAGED = "new", "equal", "other", "left", "damaged"
"""Outcomes of merging a cell: copied; an equal one is stored; copied beside another answer; left out, because
it failed while another is stored, or because the stored one must not be replaced; unreadable or changed."""

Files = Mapping[str, bytes]


@dataclass
class Merged:
    """Outcome of a merge.

    counts: numbers of cells NEW, EQUAL, OTHER, LEFT and DAMAGED, by source. problems: messages about unusable
    cells, by source. disagreeing: folders of first answers with another answer beside them.
    """

    counts: dict[Path, Counter[str]]
    problems: dict[Path, list[str]]
    disagreeing: set[Path] = field(default_factory=set)


@dataclass(frozen=True)
class StoredAnswer:
    """One of several answers of a cell. origin: the folder it was copied from, None if unknown.

    difference: from the first answer; None for the first.
    """

    stored: Stored
    origin: str | None
    difference: AnswerDifference | None


def merge(sources: Sequence[Path], into: Path, waiting: Callable[[], object] = tuple) -> Merged:
    """Copy all cells of the sources, in their order, into another folder.

    Each is checked against its digests first. Cells with bit-identical predictions are merged; a different
    answer is stored beside the first. Measured cells replace failed and damaged ones, never the reverse.
    Sources are only read; a task of `into` is locked while its cells are copied, and `waiting()` is called if
    a run holds the lock. Experiment files are copied, too. A killed merge can be repeated.

    Raises BenchError if folders cannot be merged, StoreError if `into` cannot be written.
    """
    sources = _checked(sources, into)
    store = Store(into, "--into")
    done = Merged({source: Counter() for source in sources}, {source: [] for source in sources})
    tasks: dict[str, list[tuple[Path, Path]]] = {}
    for source in sources:
        for folder in Store(source).folders():
            tasks.setdefault(folder.relative_to(source).parts[0], []).append((source, folder))
    for task, folders in sorted(tasks.items()):
        with store.lock(task, waiting):
            store.sweep(task)
            for source, folder in folders:
                found = _linked(source, folder) or _whole(folder)
                if isinstance(found, str):
                    done.problems[source].append(found)
                    done.counts[source][DAMAGED] += 1
                else:
                    done.counts[source][_take(store, source, *found, done)] += 1
            for source in dict.fromkeys(source for source, _ in folders):
                done.problems[source] += _take_experiments(store, source, task)
    for problems in done.problems.values():
        problems[:] = _versions_once(problems)
    return done


def answers(first: Path) -> list[StoredAnswer]:
    """Return the readable answers of a cell, in order; `first` is the folder of the first one."""
    found: list[StoredAnswer] = []
    for folder in _places(first):
        stored = read_cell(folder)
        if not isinstance(stored, Stored):
            continue
        with suppress(FileFault):
            difference = compare_parts(found[0].stored, stored) if found else None
            found.append(StoredAnswer(stored, origin_of(folder), difference))
    return found


def _checked(sources: Sequence[Path], into: Path) -> list[Path]:
    """Return the sources, each once. Raises BenchError for folders that cannot be merged."""
    if into.exists() and not into.is_dir():
        raise StoreError(f"--into {str(into)!r}: is a file; name a folder, which need not exist")
    target = into.resolve()
    places: dict[Path, Path] = {}
    for source in sources:
        if not source.is_dir():
            what = "is a file" if source.exists() else "does not exist"
            raise StoreError(f"results folder {str(source)!r}: {what}")
        places.setdefault(place := source.resolve(), source)
        if place == target:
            raise BenchError(f"--into {str(into)!r} is one of the folders to merge: name another one")
        if place in target.parents or target in place.parents:
            raise BenchError(f"--into {str(into)!r}: overlaps {str(source)!r}; name a folder outside it")
    return list(places.values())


def _linked(source: Path, folder: Path) -> str:
    """Return a message about a link or hidden file among a cell's files and parent folders, else ""."""
    steps = [folder, *folder.parents]
    try:
        for step in [*steps[: steps.index(source)], *folder.iterdir()]:
            if step.is_symlink():
                return f"{step}: is a link; links in a folder to merge are not read"
            if step.name.startswith("."):
                return f"{step}: is hidden and does not belong to a cell"
    except OSError as error:
        return f"{folder}: cannot be read ({error.strerror})"
    return ""


def _whole(folder: Path) -> tuple[Stored, Files] | str:
    """Return a cell and the contents of all its files, or a message if one is missing or changed."""
    stored = read_cell(folder)
    if stored is None:
        return f"{folder / RESULT}: is missing"
    if isinstance(stored, str):
        return stored
    path = folder / RESULT
    try:
        files = {name: stored.read(name) for name in stored.record[FILES]}
        if stored.ok:
            stored.splits(), stored.calibration()
        record = read_regular(path)
        if not is_sealed(record) or json.loads(record) != stored.record:
            return f"{path}: changed while it was read; merge again"
    except FileFault as error:
        return str(error)
    except (OSError, ValueError) as error:
        return f"{path}: cannot be read ({' '.join(str(error).split())[:200]})"
    return stored, {**files, RESULT: record}


def _take(store: Store, source: Path, newcomer: Stored, files: Files, done: Merged) -> str:
    """Store a cell of a source and return the outcome. Its task must be locked."""
    cell = newcomer.record["cell"]
    names = cell_path(cell["task"], cell["backbone"], cell["method_text"], cell["seed"], newcomer.id)
    places = _places(first := store.root.joinpath(*names))
    found = {place: _beside(place, newcomer) for place in places}
    equal, held, free = (
        next((place for place in places if found[place][0] == what), None) for what in (EQUAL, LEFT, NEW)
    )
    target = equal or held or free or answer_folder(first, answer_number(places[-1]) + 1)
    write = _has_more(newcomer, target) if equal else not held
    if write:
        origin = origin_of(newcomer.folder) or str(source.resolve())
        store.write(target, partial(_fill, {**files, ORIGIN: origin_file(origin)}))
    for place, (_, line) in found.items():
        if line:
            replaced = " (replaced by a measured one)" if write and place == target else ""
            done.problems[source].append(f"{line}{replaced}")
    if held and not equal:
        return LEFT
    if target != first:
        done.disagreeing.add(first)
        return OTHER
    return EQUAL if equal else NEW


def _take_experiments(store: Store, source: Path, task: str) -> list[str]:
    """Copy a task's experiment files, named by their content; return a message for each damaged one.

    Its task must be locked.
    """
    problems = []
    for path in experiment_files(source / task):
        if path.is_symlink() or path.parent.is_symlink():
            problems.append(f"{path}: is a link; links in a folder to merge are not read")
            continue
        try:
            store_experiment(store.root, task, read_experiment(path))
        except BenchError as error:
            problems.append(f"{error}; it is left out")
    return problems


def _places(first: Path) -> list[Path]:
    """Return the folders of a cell's answers: of the first, even if missing, and of all further ones."""
    further = [place for place in first.parent.glob(f"{first.name}.*") if answer_number(place) > 1]
    return [first, *sorted(further, key=answer_number)]


def _beside(place: Path, newcomer: Stored) -> tuple[str, str]:
    """Compare a cell with the content of one of its folders; return the outcome and a message about damage.

    EQUAL: the folder has the same answer. OTHER: another answer. LEFT: its content must stay. NEW: it is
    free.
    """
    if not place.exists():
        return NEW, ""
    found = _whole(place)
    if isinstance(found, str):
        return NEW if newcomer.ok and NEWER_FORMAT not in found else LEFT, found
    there, _ = found
    if there.id != newcomer.id:
        return LEFT, f"{newcomer.folder}: left out, {place} has a cell of another id"
    if not (there.ok and newcomer.ok):
        return LEFT if there.ok else NEW if newcomer.ok else EQUAL, ""
    one, other = there.record[FILES][PREDICTIONS], newcomer.record[FILES][PREDICTIONS]
    return EQUAL if one == other or compare_parts(there, newcomer).equal else OTHER, ""


def _has_more(newcomer: Stored, place: Path) -> bool:
    """Return whether a cell has more files (a saved model) than the stored equal one."""
    there = read_cell(place)
    return isinstance(there, Stored) and set(newcomer.record[FILES]) > set(there.record[FILES])


def _fill(files: Files, work: Path) -> None:
    for name, content in files.items():
        (work / name).write_bytes(content)


def _versions_once(problems: Sequence[str]) -> list[str]:
    """Return the messages, with those about the same other format version joined."""
    kept: dict[str, list[str]] = {}
    for line in problems:
        what = next((line[line.index(word) :] for word in (NEWER_FORMAT, OLDER_FORMAT) if word in line), line)
        kept.setdefault(what, []).append(line)
    return [
        lines[0] if len(lines) == 1 else f"{_path(lines[0], what)} and {len(lines) - 1} more: {what}"
        for what, lines in kept.items()
    ]


def _path(line: str, what: str) -> str:
    return line.removesuffix(f": {what}")
