"""Requests, shards, clusters and paths, from the values of the shared options."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError, DataError
from bench.core.paths import user_path

if TYPE_CHECKING:
    from bench.core.cell import Value
    from bench.runs.cluster_address import Cluster
    from bench.runs.plan import Request
    from bench.runs.reproduce import LocalPaths
    from bench.runs.shards import Shard


def settings_from(sets: tuple[str, ...]) -> dict[str, Value]:
    """Read the values of `--set`. Raises BenchError for an invalid or repeated key."""
    from bench.core.stage_values import parse_set

    settings: dict[str, Value] = {}
    for text in sets:
        key, value = parse_set(text)
        if key in settings:
            raise BenchError(f"--set {key} is given twice")
        settings[key] = value
    return settings


def request_options(
    options: dict[str, Any],
    backbone: str | None,
    weights: str | None,
    sets: tuple[str, ...],
    allow_code: bool = False,
) -> Request:
    """Build a request for one backbone from the values of `data_options`. Raises BenchError or DataError."""
    from bench.runs.plan import Request

    _no_empty({**options, "backbone": backbone, "weights": weights})
    return Request(
        task=options["task"] or "",
        data=data_folder(options["data"], options["sample"]),
        sample=options["sample"],
        backbones=() if backbone is None else (backbone,),
        weights=weights,
        settings=settings_from(sets),
        follow_links=options["follow_links"],
        allow_code=allow_code,
        **own_data(options),
    )


def own_data(options: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a request that describe data without a card. Raises BenchError."""
    from bench.data.layout import parse_label, parse_roles

    label, columns = parse_label(options["label"]), parse_roles(options["columns"])
    return {"label": label, "kind": options["kind"], "columns": columns}


def _no_empty(options: dict[str, Any]) -> None:
    """Raise BenchError for an option with an empty value; omit it for the default."""
    for name, value in options.items():
        if value == "":
            raise BenchError(f"--{name} is empty: give it a value or leave it out")


def request_from(options: dict[str, Any]) -> Request:
    """Build the request from the values of `grid_options`. Raises BenchError or DataError."""
    from bench.runs.plan import Request

    _no_empty(options)
    return Request(
        task=options["task"] or "",
        data=data_folder(options["data"], options["sample"]),
        sample=options["sample"],
        backbones=options["backbone"],
        methods=options["method"],
        seeds=options["seed"],
        stages=tuple(name for text in options["stage"] for name in text.split(",")),
        regime=options["regime"],
        weights=options["weights"],
        settings=_with_trials(settings_from(options["sets"]), options["tune"]),
        plugins=options["plugins"],
        follow_links=options["follow_links"],
        allow_code=options["allow_code"],
        **own_data(options),
    )


def _with_trials(settings: dict[str, Value], count: int | None) -> dict[str, Value]:
    """Return the settings with the value of `--tune`. Raises BenchError for a number out of range."""
    from bench.core.protocol import check

    if count is None:
        return settings
    if "tune" in settings:
        raise BenchError("--tune and --set tune are the same: give one of them")
    return {**settings, "tune": check("tune", count, f"--tune {count}")}


def shard_from(options: dict[str, Any]) -> Shard | None:
    """Return the requested shard, or None. Raises BenchError for an invalid one."""
    if options["shard"] is None:
        return None
    from bench.runs.shards import parse_shard

    return parse_shard(options["shard"])


def cluster_from(options: dict[str, Any]) -> Cluster | None:
    """Return the cluster of `cluster_options`, or None. Raises BenchError for an invalid address."""
    if options["on"] is None:
        return None
    from bench.runs.cluster_address import Cluster

    return Cluster(options["on"], options["cpus_per_job"], options["gpus_per_job"])


def local_paths(options: dict[str, Any], cache: Path | None = None) -> LocalPaths:
    """Return the paths of `cell_options`. cache: of pixels and features, None for none."""
    from bench.core.paths import search_path
    from bench.runs.reproduce import LocalPaths

    named = {key: options[key] for key in ("labels", "weights", "follow_links", "allow_code", "plugins")}
    data = data_folder(options["data"], None)
    return LocalPaths(search_path("tasks", options["tasks"]), data=data, cache=cache, **named)


def data_folder(data: str | None, sample: str | None) -> Path | None:
    """Return the data folder, absolute, or None for the synthetic sample."""
    if data is None:
        return None
    if sample is not None:
        raise BenchError("--sample sizes the synthetic sample; leave it out with --data")
    if not data.strip():
        raise DataError("--data: the folder's name is empty")
    return user_path(data).resolve()
