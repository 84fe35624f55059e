"""Shards of a plan for independent machines; each net runs on as few as possible."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.runs.plan import Job, Plan

MAX_SHARDS = 100_000
"""Maximum number of shards."""

Unit = tuple[Cell, ...]
"""Cells that stay together: the stages of one backbone, method and seed."""


@dataclass(frozen=True)
class Shard:
    """One of `count` shards of a plan, numbered from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Parse a shard such as `2/8`. Raises BenchError.

    >>> parse_shard("2/8")
    Shard(number=2, count=8)
    """
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text)
    if not match:
        raise BenchError(f"--shard {text!r}: write its number and their count, for example 2/8")
    number, count = int(match[1]), int(match[2])
    if not 1 <= count <= MAX_SHARDS:
        raise BenchError(f"--shard {text!r}: a plan has 1 to {MAX_SHARDS:,} shards")
    if not 1 <= number <= count:
        raise BenchError(f"--shard {text!r}: the shards are 1/{count} to {count}/{count}")
    return Shard(number, count)


def shard_of(plan: Plan, shard: Shard) -> Plan:
    """Return the plan with the cells of one shard, without empty jobs.

    Every cell is in exactly one shard, which depends on the set of cells alone, not on their order or on
    stored results.
    """
    ids = {cell.id for cell in divide(plan.jobs, shard.count)[shard.number - 1]}
    jobs = (job.only(ids) for job in plan.jobs)
    return replace(plan, jobs=tuple(job for job in jobs if job.cells))


def select_shard(plan: Plan, shard: Shard, say: Callable[[str], None]) -> Plan:
    """Return a shard of a plan, and report its size."""
    part = shard_of(plan, shard)
    if part.cells:
        say(f"shard {shard}: {len(part.cells)} of {len(plan.cells)} cells")
    else:
        say(f"shard {shard} is empty: {len(plan.cells)} cells fill fewer than {shard.count} shards")
    return part


def divide(jobs: Sequence[Job], count: int) -> list[list[Cell]]:
    """Return the cells of each of `count` shards.

    Jobs that share the features of a net form a group. Groups stay whole if there are at least as many as
    shards; otherwise each is divided by seed, then by method, in proportion to its cells, and its net runs in
    each part. Surplus shards are empty and come last.
    """
    groups = [_units(group) for group in _groups(jobs)]
    if len(groups) >= count:
        return _whole_groups(groups, count)
    shards: list[list[Cell]] = []
    for units, parts in zip(groups, _parts_of_groups(groups, count), strict=True):
        cuts = [len(units) * part // parts for part in range(parts + 1)]
        shards += [[cell for unit in units[low:high] for cell in unit] for low, high in pairwise(cuts)]
    return shards + [[] for _ in range(count - len(shards))]


def _groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Group jobs that share a frozen net, joined or not; sorted by name."""
    groups: list[tuple[set[str], list[Job]]] = []
    for job in sorted(jobs, key=lambda job: job.backbone):
        nets = {info.name for info in job.parts if info.is_net}
        merged = ({job.backbone} if job.regime != "frozen" else nets, [job])
        shared = [group for group in groups if job.regime == "frozen" and group[0] & nets]
        for group in shared:
            groups.remove(group)
            merged = (group[0] | merged[0], group[1] + merged[1])
        groups.append(merged)
    return [members for _, members in groups]


def _units(jobs: Sequence[Job]) -> list[Unit]:
    """Return the units of jobs, sorted by job, seed and method."""
    units: dict[tuple[str, int, str], list[Cell]] = {}
    for job in jobs:
        for cell in job.cells:
            units.setdefault((job.backbone, cell.seed, cell.method.text), []).append(cell)
    order = {job.backbone: place for place, job in enumerate(jobs)}
    keys = sorted(units, key=lambda key: (order[key[0]], *key[1:]))
    return [tuple(units[key]) for key in keys]


def _whole_groups(groups: Sequence[Sequence[Unit]], count: int) -> list[list[Cell]]:
    """Assign each group, the largest first, to the shard with the fewest cells."""
    shards: list[list[Cell]] = [[] for _ in range(count)]
    cells = [[cell for unit in units for cell in unit] for units in groups]
    for group in sorted(cells, key=len, reverse=True):
        min(shards, key=len).extend(group)
    return shards


def _parts_of_groups(groups: Sequence[Sequence[Unit]], count: int) -> list[int]:
    """Return the number of parts of each of fewer than `count` groups, at most one per unit."""
    parts = [1] * len(groups)
    for _ in range(count - len(groups)):
        open_ = [place for place, units in enumerate(groups) if parts[place] < len(units)]
        if not open_:
            break
        parts[max(open_, key=lambda place: len(groups[place]) / parts[place])] += 1
    return parts
