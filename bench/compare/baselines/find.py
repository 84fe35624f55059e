"""Search for baselines by task and name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from bench.compare.baselines.types import Baseline, forbidding
from bench.core.errors import BenchError, unknown


def find_baselines(folders: Iterable[Path], task: str | None = None) -> dict[tuple[str, str], Path]:
    """Return the file of every (task, name) in the folders; the first folder wins."""
    found: dict[tuple[str, str], Path] = {}
    for folder in folders:
        for path in sorted(folder.glob("*/*.json")):
            if task is None or path.parent.name == task:
                found.setdefault((path.parent.name, path.stem), path)
    return found


def load_baseline(task: str, name: str, folders: Iterable[Path]) -> Baseline:
    """Return a baseline by name. Raises BenchError if it is unknown (naming the nearest) or faulty."""
    from bench.compare.baselines.read import read_baseline

    found = {key[1]: path for key, path in find_baselines(folders, task).items()}
    if name not in found:
        raise unknown("baseline", name, found, f"task {task} has {', '.join(found) or 'none'}")
    return read_baseline(found[name])


def published_for(task: str, folders: Iterable[Path], problems: list[str] | None = None) -> Baseline | None:
    """Return the task's first published baseline by name that a run can be compared with, or None.

    problems: receives a line for each faulty file, which is skipped. Without it such a file raises
    BenchError.
    """
    return next(
        (baseline for baseline in _published(task, folders, problems) if not forbidding(baseline.flags)), None
    )


def none_published(task: str, folders: Iterable[Path]) -> BenchError:
    """Build the error for a task without a comparable published baseline, naming the alternatives."""
    shown = [f"{baseline.name} ({forbidding(baseline.flags)})" for baseline in _published(task, folders, [])]
    if not shown:
        return BenchError(
            f"task {task!r} has no published baseline; name one with --baseline (bench list baselines)"
        )
    return BenchError(
        f"task {task!r}: no published baseline allows a verdict: {', '.join(shown)}; "
        "--baseline NAME shows its numbers side by side"
    )


def _published(task: str, folders: Iterable[Path], problems: list[str] | None) -> Iterator[Baseline]:
    from bench.compare.baselines.read import read_baseline

    for path in find_baselines(folders, task).values():
        try:
            baseline = read_baseline(path)
        except BenchError as error:
            if problems is None:
                raise
            problems.append(str(error))
        else:
            if baseline.type == "published":
                yield baseline


def list_baselines(folders: Iterable[Path]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a row for each baseline (task, baseline, type, flags, summary), and a line per faulty file."""
    from bench.compare.baselines.read import read_baseline

    rows, problems = [], []
    for (task, name), path in find_baselines(folders).items():
        try:
            baseline = read_baseline(path)
        except BenchError as error:
            problems.append(str(error))
            continue
        flags = ", ".join(flag.name for flag in baseline.flags)
        kept = {"type": baseline.type, "flags": flags, "summary": baseline.summary}
        rows.append({"task": task, "baseline": name, **kept})
    return rows, problems
