"""Pinning of stored cells as a baseline: a small file with every cell's predictions, item by item."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.compare.baselines.pinning import pinning_of
from bench.compare.baselines.types import FORMAT_VERSION, check_name
from bench.core.atomic_files import replacing
from bench.core.cell import canonical_json, finite
from bench.core.errors import BenchError, NothingMeasured, StoreError
from bench.core.kind import UNNAMED
from bench.core.predictions import Predictions, by_item, items_hash
from bench.metrics.registry import METRICS
from bench.store.read import StoredCell


def pin(cells: Sequence[StoredCell], name: str, summary: str = "") -> dict[str, Any]:
    """Return the document of a pinned baseline that holds every measured cell given.

    Raises BenchError if they are not one grid: several tasks, task versions or data, one setting with several
    protocols, or a stage scored on different images; NothingMeasured if none was measured.
    """
    measured = [cell for cell in cells if cell.result["status"] == "ok"]
    if not measured:
        raise NothingMeasured(f"nothing to pin as {name!r}: no measured cell is stored")
    if (different := len({_shared(cell.result["cell"]) for cell in measured})) > 1:
        raise _not_one_grid(
            name, f"the stored cells are of {different} different tasks, versions or data sets"
        )
    first = measured[0].result["cell"]
    stages: dict[str, dict[str, Any]] = {}
    results: dict[str, dict[str, Any]] = {}
    for cell in measured:
        identity, pred = cell.result["cell"], cell.predictions("test")
        seed, setting = str(identity["seed"]), _setting(identity)
        if identity["stage"] not in stages:
            stages[identity["stage"]] = _stage(pred, identity["kind"])
        if stages[identity["stage"]]["items"] != items_hash(pred):
            raise _not_one_grid(name, f"cells of stage {identity['stage']} scored different images")
        fresh = {**setting, "protocol": identity["protocol"], "seeds": {}}
        result = results.setdefault(canonical_json(setting), fresh)
        if seed in result["seeds"] or result["protocol"] != identity["protocol"]:
            who = f"{setting['backbone']}, {setting['method']}, stage {setting['stage']}"
            raise _not_one_grid(name, f"stored cells of {who} differ in protocol")
        result["seeds"][seed] = _run(cell.result, pred)
    document = {
        "format_version": FORMAT_VERSION,
        "type": "pinned",
        "name": check_name(name),
        "task": check_name(first["task"], "task"),
        "summary": summary or f"{len(measured)} cells of messybench on {first['data']['source']}",
        "flags": [],
        "provenance": {
            "commands": _distinct(cell.result.get("command", "") for cell in measured),
            "environments": _distinct(cell.result.get("environment", {}) for cell in measured),
        },
        "task_version": first["task_version"],
        "data": first["data"],
        "stages": stages,
        "results": list(results.values()),
    }
    return dict(finite(document))


def write_baseline(document: Mapping[str, Any], folder: Path, force: bool = False) -> Path:
    """Write a document atomically as <folder>/<task>/<name>.json, and return the path.

    Raises BenchError if a baseline of this name is there and `force` is not given, or a published one is;
    StoreError if the folder cannot be written.
    """
    from bench.compare.baselines.read import read_baseline

    path = folder / check_name(document["task"], "task") / f"{check_name(document['name'])}.json"
    if path.exists():
        if not force:
            raise BenchError(f"{path} exists already; --force replaces it")
        if read_baseline(path).type == "published":
            raise BenchError(f"{path} is a published baseline and is not replaced; choose another name")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, durable=True) as fresh, fresh.open("w", encoding="utf-8") as file:
            json.dump(document, file, ensure_ascii=False, allow_nan=False, indent=1)
            file.write("\n")
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror}); choose another folder with --baselines DIR"
        ) from None
    return path


def _not_one_grid(name: str, why: str) -> BenchError:
    return BenchError(
        f"cannot pin {name!r}: {why}; narrow them with --source, --backbone, --method or --results DIR"
    )


def _shared(identity: Mapping[str, Any]) -> str:
    return canonical_json([identity[key] for key in ("task", "task_version", "data")])


def _setting(identity: Mapping[str, Any]) -> dict[str, str]:
    fields = {key: identity[key] for key in ("stage", "regime", "backbone", "weights")}
    return {**fields, "method": identity["method_text"]}


def _stage(pred: Predictions, kind: str) -> dict[str, Any]:
    return {
        "classes": list(pred.classes),
        "train_support": [int(n) for n in pred.train_support],
        "items": items_hash(pred),
        "n": len(pred.items),
        **({} if kind == UNNAMED else {"kind": kind}),
        **pinning_of(kind).stage(pred.take(by_item(pred))),
    }


def _run(result: Mapping[str, Any], pred: Predictions) -> dict[str, Any]:
    metrics = {name: value for name, value in result["metrics"]["test"].items() if name in METRICS}
    packed = pinning_of(result["cell"]["kind"]).run(pred.take(by_item(pred)))
    return {"cell": result["id"], "metrics": metrics, **packed}


def _distinct(values: Any) -> list[Any]:
    return list({canonical_json(value): value for value in values}.values())
