"""Validation of a stored cell's record, which may have been edited."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bench.core.kind import is_kind
from bench.store.digests import FILES, identity_digest

MAX_DEPTH = 16
"""Limit of nested objects and lists; messybench's own records stay far below."""

MAX_NUMBER = 1e300
"""Limit of numbers, so that each fits a float. Counts and seeds are below 2**63."""

_CELL = {
    **dict.fromkeys(("task", "kind", "stage", "regime", "backbone", "weights", "method_text"), str),
    **dict.fromkeys(("task_version", "seed"), int),
    **dict.fromkeys(("protocol", "data"), dict),
}
_DATA = {"source": str, "fingerprint": str}
_SIZES = {"bytes": int, "sha256": str}
_OPTIONAL = {
    "checks": dict,
    "counts": dict,
    "choices": dict,
    "timings": dict,
    "environment": dict,
    "command": str,
}
_COUNTS = ("same", "same_torn", "near", "near_across", "near_torn")
_TITLE_COUNTS = dict.fromkeys(("titles", "empty", "emptied", "unknown"), int)
_CHECKS: dict[str, dict[str, type]] = {
    "duplicates": dict.fromkeys(_COUNTS, int),
    "titles": {"masked": bool, "train": dict, "test": dict},
    "signal": {"permutations": int, "attributes": dict},
}
"""The data checks that `bench.compare.warnings` reads."""

_NUMBERS = {float, int, type(None)}
_TYPES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
}


def record_fault(record: dict[str, Any]) -> str:
    """Describe the first fault of a record; "" if it has none."""
    try:
        _plain(record.values())
        _typed(record, {"id": str, "cell": dict, "status": str, "metrics": dict, FILES: dict}, "")
        _typed(record, {key: kind for key, kind in _OPTIONAL.items() if key in record}, "")
        _typed(record["cell"], _CELL, "cell.")
        _typed(record["cell"]["data"], _DATA, "cell.data.")
        if "plugins" in record["cell"]:
            _typed(record["cell"], {"plugins": dict}, "cell.")
            named = record["cell"]["plugins"]
            _typed(named, dict.fromkeys(named, dict), "cell.plugins.")
            for name, plugin in named.items():
                _typed(plugin, {"version": str, "source": str}, f"cell.plugins.{name[:40]}.")
        if not re.fullmatch("[0-9a-f]{64}", record["id"]):
            raise ValueError("id: must be 64 hex digits")
        if not is_kind(record["cell"]["kind"]):
            raise ValueError(f"cell.kind: {record['cell']['kind'][:40]!r} is not known to this version")
        if not isinstance(record.get("reason"), str | None):
            raise ValueError("reason: must be text or null")
        if record["id"] != identity_digest(record["cell"]):
            raise ValueError("id: does not match the cell")
        _files(record[FILES])
        if any(not 0 <= record["cell"][key] < 2**63 for key in ("task_version", "seed")):
            raise ValueError("cell: its task_version or seed is out of range")
        for split, values in record["metrics"].items():
            _numbers(values, f"metrics.{split}")
        for part in ("counts", "timings"):
            _numbers(record.get(part, {}), part)
        _checks(record.get("checks", {}))
        best = record.get("choices", {}).get("best_epoch")
        _numbers({"best_epoch": best}, "choices")
        _tuning(record.get("choices", {}).get("tuning"))
        if record["status"] == "ok":
            _classes(record)
    except (ValueError, OverflowError) as error:
        return " ".join(str(error).split())[:200]
    return ""


def _plain(values: Iterable[Any], room: int = MAX_DEPTH) -> None:
    """Raise ValueError for deep nesting, NaN, an infinity, or a number beyond MAX_NUMBER."""
    if not room:
        raise ValueError(f"nested more than {MAX_DEPTH} deep")
    for value in values:
        kind = type(value)
        if kind is dict:
            _plain(value.values(), room - 1)
        elif kind is list:
            _plain(value, room - 1)
        elif (kind is float or kind is int) and not -MAX_NUMBER < value < MAX_NUMBER:
            shown = f"a number of {len(str(abs(value)))} digits" if kind is int else value
            raise ValueError(f"{shown} is out of range")


def _files(files: Mapping[str, Any]) -> None:
    for name, facts in files.items():
        if not re.fullmatch(r"[a-z_]+\.[a-z]+", name):
            raise ValueError(f"{FILES}: {name[:40]!r} is not a file name")
        if type(facts) is not dict:
            raise ValueError(f"{FILES}.{name}: must be an object")
        _typed(facts, _SIZES, f"{FILES}.{name}.")


def _typed(table: Mapping[str, Any], kinds: Mapping[str, type], where: str) -> None:
    for key, kind in kinds.items():
        if key not in table:
            raise ValueError(f"no {where}{key}")
        if type(table[key]) is not kind:
            raise ValueError(f"{where}{key}: must be {_TYPES[kind]}")


def _numbers(values: Any, where: str) -> None:
    if type(values) is not dict:
        raise ValueError(f"{where}: must be an object")
    if not set(map(type, values.values())) <= _NUMBERS:
        (first, *_) = (key for key, value in values.items() if type(value) not in _NUMBERS)
        raise ValueError(f"{where}.{first}: must be a number or null")


def _checks(checks: Mapping[str, Any]) -> None:
    for name, kinds in _CHECKS.items():
        found = checks.get(name)
        if not isinstance(found, dict):
            continue
        where = f"checks.{name}."
        _typed(found, kinds, where)
        if name == "titles":
            for part in ("train", "test"):
                _typed(found[part], _TITLE_COUNTS, f"{where}{part}.")
                _numbers({"holding": found[part].get("holding", "")}, f"{where}{part}")
        if name == "signal":
            _typed(found, dict.fromkeys(("auc", "chance_mean", "chance_high", "p"), float), where)
            for attribute in found["attributes"].values():
                _numbers({"p": attribute.get("p", "") if isinstance(attribute, dict) else ""}, where[:-1])


def _tuning(found: Any) -> None:
    """Raise ValueError for a choice among trials that reports cannot read."""
    if found is None:
        return
    if type(found) is not dict:
        raise ValueError("choices.tuning: must be an object")
    _typed(
        found, {"trials": int, "chosen": int, "metric": str, "splits": int, "values": dict}, "choices.tuning."
    )
    _numbers({key: found.get(key) for key in ("val", "val_untuned")}, "choices.tuning")
    if not 1 <= found["chosen"] <= found["trials"]:
        raise ValueError("choices.tuning.chosen: must be the number of a trial")
    if any(type(value) not in (int, float, str) for value in found["values"].values()):
        raise ValueError("choices.tuning.values: must be numbers and words")


def _classes(record: Mapping[str, Any]) -> None:
    """Raise ValueError unless a measured record has test metrics and a support for each class."""
    if "test" not in record["metrics"]:
        raise ValueError("no metrics.test")
    _typed(record, {"classes": list, "train_support": list}, "")
    counts = record.get("counts")
    if counts and not (counts.get("test") or 0) > 0:
        raise ValueError("counts.test: a measured cell has test items")
    names = record["classes"]
    if not set(map(type, names)) <= {str} or len(set(names)) != len(names):
        raise ValueError("classes: must be distinct names")
    for key in ("train_support", *(("known",) if record.get("known") is not None else ())):
        support = record[key]
        wrong = type(support) is not list or len(support) != len(names)
        wrong = wrong or not set(map(type, support)) <= {int}
        if wrong or (support and not 0 <= min(support) <= max(support) < 2**63):
            raise ValueError(f"{key}: must be a count for each class")
    for key in ("cuts", "val_cuts"):
        thresholds = record.get(key)
        if thresholds is not None and (
            type(thresholds) is not list
            or len(thresholds) != len(names)
            or any(type(value) not in (int, float) or not 0 <= value <= 1 for value in thresholds)
        ):
            raise ValueError(f"{key}: must be a number from 0 to 1 for each class")
