"""Provenance sections of a report: images used, missing cells, environments, commands, protocols."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bench.compare.leaderboard import Board
from bench.core.cell import canonical_json
from bench.core.table import Column, Table, flat
from bench.report.leaderboard_tables import hole_notes
from bench.report.page import Block, Section, Words
from bench.store.settings import Record

COUNTS = {
    "train": "train",
    "val": "validation",
    "test": "test",
    "not_scored": "not scored: class not in train",
    "leaked": "test images also in train",
    "leaked_near": "others with a near duplicate in train",
    "quarantined": "left out: unreadable or unusable",
}
"""Counts of images that `bench.runs.run_job` stores, with their titles."""


def data_section(records: Sequence[Record], boards: Sequence[Board], problems: Sequence[str]) -> Section:
    """Return the images used and left out, and the cells that are in no table."""
    blocks: list[Block] = [_images(records)]
    failed = [record for record in records if record["status"] != "ok"]
    if failed:
        blocks.append(_failures(failed))
    if notes := hole_notes(boards):
        blocks += [
            Words("Combinations of the grid without a measured cell; none is imputed."),
            *map(Words, notes),
        ]
    if problems:
        blocks += [Words("Files that could not be read and are left out:"), *map(Words, problems)]
    if not failed and not notes and not problems:
        blocks.append(
            Words("Every combination of backbones, methods and seeds is measured; every file was read.")
        )
    return Section("Data used and left out", tuple(blocks))


def _images(records: Iterable[Record]) -> Table:
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for record in records:
        if counts := record.get("counts"):
            cell = record["cell"]
            data = f"{cell['data']['source']} {cell['data']['fingerprint'][:8]}"
            groups.setdefault((cell["task"], cell["stage"], data), []).append(counts)
    known = [key for key in COUNTS if any(key in counts for rows in groups.values() for counts in rows)]
    known += sorted({key for rows in groups.values() for counts in rows for key in counts} - {*known})
    body = [
        dict(zip(("task", "stage", "data"), place, strict=True))
        | {"cells": len(rows)}
        | {key: _range([counts.get(key) for counts in rows]) for key in known}
        for place, rows in groups.items()
    ]
    columns = [
        Column("task", "task"),
        Column("stage", "stage"),
        Column("data", "data"),
        Column("cells", "cells", "int"),
        *(Column(key, COUNTS.get(key, key.replace("_", " ")), "int") for key in known),
    ]
    return Table("Images", columns, body)


def _range(values: Sequence[Any]) -> Any:
    """Return the common value, or the range as text."""
    numbers = sorted({value for value in values if isinstance(value, int | float)})
    if not numbers:
        return None
    return numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _failures(records: Iterable[Record]) -> Table:
    names = ("task", "stage", "backbone", "method", "seed", "status", "reason")
    body = [
        {
            "cell": record["id"][:8],
            **{key: record["cell"][key] for key in ("task", "stage", "backbone", "seed")},
            "method": record["cell"]["method_text"],
            "status": record["status"],
            "reason": record.get("reason"),
        }
        for record in records
    ]
    columns = [Column("cell", "cell"), *(Column(n, n, "int" if n == "seed" else "text") for n in names)]
    return Table("Cells that failed", columns, body)


def origin_section(records: Sequence[Record]) -> Section:
    """Return the commands that made the cells, their environments and protocols."""
    commands = Counter(str(record.get("command") or "not stored") for record in records)
    rows = [{"command": command, "cells": count} for command, count in commands.most_common()]
    columns = [Column("command", "command"), Column("cells", "cells", "int")]
    return Section(
        "Environment and commands",
        (Table("Commands", columns, rows), _environments(records), _protocols(records)),
    )


def _environments(records: Sequence[Record]) -> Table:
    seen: dict[str, tuple[Mapping[str, Any], int]] = {}
    for record in records:
        environment = record.get("environment") or {}
        key = canonical_json(environment)
        seen[key] = (environment, seen.get(key, (environment, 0))[1] + 1)
    flats = [{**dict(flat(environment)), "cells": count} for environment, count in seen.values()]
    return _side_by_side("Environments", "item", flats)


def _protocols(records: Sequence[Record]) -> Table:
    seen: dict[str, dict[str, Any]] = {}
    for record in records:
        cell = record["cell"]
        own = {key: cell[key] for key in ("task", "task_version", "stage", "regime", "weights")}
        values = {**own, **dict(cell["protocol"]), **{f"data.{k}": v for k, v in cell["data"].items()}}
        entry = seen.setdefault(canonical_json(values), {**values, "cells": 0})
        entry["cells"] += 1
    return _side_by_side("Protocols", "key", list(seen.values()))


def _side_by_side(title: str, first: str, flats: Sequence[Mapping[str, Any]]) -> Table:
    """Return a row for each key and a column for each of the mappings."""
    keys = list(dict.fromkeys(key for flat in flats for key in flat))
    keys.sort(key=lambda key: key != "cells")
    columns = [Column("name", first), *(Column(str(i), f"{i}") for i in range(1, len(flats) + 1))]
    if len(flats) == 1:
        columns[1] = Column("1", "value")
    rows = [{"name": key, **{str(i): flat.get(key) for i, flat in enumerate(flats, 1)}} for key in keys]
    return Table(title, columns, rows)
