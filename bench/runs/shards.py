"""Division of a plan's cells among machines that share nothing; each net runs on as few as possible."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.runs.plan import Job, Plan

MOST = 100_000
"""Largest number of shards of one plan."""

Unit = tuple[Cell, ...]
"""Cells that stay together: the stages of one backbone, method and seed, which can build on each other."""


@dataclass(frozen=True)
class Shard:
    """One of `count` parts of a plan, counted from 1."""

    number: int
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def parse_shard(text: str) -> Shard:
    """Read a shard such as `2/8`. Raises BenchError for anything else, and for a number out of range.

    >>> parse_shard("2/8")
    Shard(number=2, count=8)
    """
    match = re.fullmatch(r"\s*([0-9]{1,9})\s*/\s*([0-9]{1,9})\s*", text)
    if not match:
        raise BenchError(f"--shard {text!r}: write its number and how many there are, for example 2/8")
    number, count = int(match[1]), int(match[2])
    if not 1 <= count <= MOST:
        raise BenchError(f"--shard {text!r}: a plan has 1 to {MOST:,} shards")
    if not 1 <= number <= count:
        raise BenchError(f"--shard {text!r}: the shards are 1/{count} to {count}/{count}")
    return Shard(number, count)


def shard_of(plan: Plan, shard: Shard) -> Plan:
    """Return the plan with the cells of one shard only; empty jobs are left out.

    Every cell is in exactly one shard. Which one depends on the cells of the plan alone, not on their order
    nor on what is stored.
    """
    ids = {cell.id for cell in divide(plan.jobs, shard.count)[shard.number - 1]}
    jobs = (job.only(ids) for job in plan.jobs)
    return replace(plan, jobs=tuple(job for job in jobs if job.cells))


def own_shard(plan: Plan, shard: Shard, say: Callable[[str], None]) -> Plan:
    """Return a shard of a plan, and report its size."""
    own = shard_of(plan, shard)
    if own.cells:
        say(f"shard {shard}: {len(own.cells)} of {len(plan.cells)} cells")
    else:
        say(f"shard {shard} is empty: {len(plan.cells)} cells fill fewer than {shard.count} shards")
    return own


def divide(jobs: Sequence[Job], count: int) -> list[list[Cell]]:
    """Return the cells of each of `count` shards.

    Jobs that need the features of one net stay together while there are as many such groups as shards.
    Where there are more shards, each group is cut, by seeds first and then by methods, into as many parts as
    its share of the cells, and so its net runs in each of them. Shards beyond the units that there are, are
    empty, and are the last ones.
    """
    groups = [_units(group) for group in _groups(jobs)]
    if len(groups) >= count:
        return _whole(groups, count)
    shards: list[list[Cell]] = []
    for units, parts in zip(groups, _parts(groups, count), strict=True):
        cuts = [len(units) * part // parts for part in range(parts + 1)]
        shards += [[cell for unit in units[low:high] for cell in unit] for low, high in pairwise(cuts)]
    return shards + [[] for _ in range(count - len(shards))]


def _groups(jobs: Sequence[Job]) -> list[list[Job]]:
    """Return the jobs in groups that share a frozen net, alone or joined to others; sorted by name."""
    groups: list[tuple[set[str], list[Job]]] = []
    for job in sorted(jobs, key=lambda job: job.backbone):
        nets = {info.name for info in job.parts if info.is_net}
        own = ({job.backbone} if job.regime != "frozen" else nets, [job])
        shared = [group for group in groups if job.regime == "frozen" and group[0] & nets]
        for group in shared:
            groups.remove(group)
            own = (group[0] | own[0], group[1] + own[1])
        groups.append(own)
    return [members for _, members in groups]


def _units(jobs: Sequence[Job]) -> list[Unit]:
    """Return the units of some jobs: job by job, in each seed by seed, in each method by method."""
    units: dict[tuple[str, int, str], list[Cell]] = {}
    for job in jobs:
        for cell in job.cells:
            units.setdefault((job.backbone, cell.seed, cell.method.text), []).append(cell)
    order = {job.backbone: place for place, job in enumerate(jobs)}
    keys = sorted(units, key=lambda key: (order[key[0]], *key[1:]))
    return [tuple(units[key]) for key in keys]


def _whole(groups: Sequence[Sequence[Unit]], count: int) -> list[list[Cell]]:
    """Put each group, the largest first, into the shard with the fewest cells so far."""
    shards: list[list[Cell]] = [[] for _ in range(count)]
    cells = [[cell for unit in units for cell in unit] for units in groups]
    for group in sorted(cells, key=len, reverse=True):
        min(shards, key=len).extend(group)
    return shards


def _parts(groups: Sequence[Sequence[Unit]], count: int) -> list[int]:
    """Return into how many parts each of fewer than `count` groups is cut, at most one for each unit."""
    parts = [1] * len(groups)
    for _ in range(count - len(groups)):
        open_ = [place for place, units in enumerate(groups) if parts[place] < len(units)]
        if not open_:
            break
        parts[max(open_, key=lambda place: len(groups[place]) / parts[place])] += 1
    return parts
