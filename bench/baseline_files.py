"""Reads and checks one baseline file; the format is told in baselines/README.md."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from bench.baselines import (
    CLASS_METRICS,
    FLAGS,
    Baseline,
    Flag,
    Number,
    Pinned,
    PinnedResult,
    PinnedRun,
    PinnedStage,
    PublishedResult,
)
from bench.errors import BenchError, StoreError, unknown
from bench.kinds.base import KINDS
from bench.metrics.registry import METRICS
from bench.pin import FORMAT_VERSION, inflate, item_size

_TYPES = {str: "text", int: "a whole number", float: "a number", dict: "an object", list: "a list"}

_NUMBER = {"hits": int, "n": int, "value": float, "printed": float, "range": list, "flags": list, "note": str}


def read_baseline(path: Path) -> Baseline:
    """Read and check a baseline. Raises StoreError if unreadable, BenchError if faulty."""
    try:
        raw = json.loads(
            path.read_text(encoding="utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates
        )
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})") from None
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path}: not strict JSON: {error}") from None
    return _Reader(str(path)).baseline(raw, path)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is no number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)!r} is there twice")
    return out


class _Reader:
    """Turns JSON into a Baseline; every error names the file and the place in it."""

    def __init__(self, file: str) -> None:
        self.file = file

    def baseline(self, raw: Any, path: Path) -> Baseline:
        top = self.typed(raw, dict, "the file")
        version = self.typed(top.get("format_version"), int, "format_version")
        if version > FORMAT_VERSION:
            self.fail(
                "format_version", f"{version}, but this messybench reads up to {FORMAT_VERSION}; upgrade it"
            )
        kind = top.get("type")
        if kind not in ("published", "pinned"):
            self.fail("type", f"published or pinned, not {kind!r}")
        common = ("format_version", "type", "name", "task", "summary", "flags", "provenance", "results")
        more = () if kind == "published" else ("task_version", "data", "stages")
        self.keys(top, (*common, *more), (), "the file")
        for key, expected in (("name", path.stem), ("task", path.parent.name)):
            if top[key] != expected:
                self.fail(key, f"{top[key]!r}, but the file lies at {path.parent.name}/{path.name}")
        results = self.typed(top["results"], list, "results")
        return Baseline(
            name=top["name"],
            task=top["task"],
            type=kind,
            summary=self.typed(top["summary"], str, "summary"),
            flags=self.flags(top["flags"], "flags"),
            provenance=self.typed(top["provenance"], dict, "provenance"),
            published=tuple(self.published(item, f"results[{i}]") for i, item in enumerate(results))
            if kind == "published"
            else (),
            pinned=self.pinned(top, results) if kind == "pinned" else None,
        )

    def flags(self, raw: Any, where: str) -> tuple[Flag, ...]:
        out = []
        for i, item in enumerate(self.typed(raw, list, where)):
            flag = self.record(item, {"name": str, "why": str}, {}, f"{where}[{i}]")
            if flag["name"] not in FLAGS:
                raise unknown("flag", flag["name"], FLAGS, f"{self.file}: {where}[{i}]")
            out.append(Flag(flag["name"], flag["why"]))
        return tuple(out)

    def published(self, raw: Any, where: str) -> PublishedResult:
        text = ("stage", "label", "regime", "backbone", "method")
        required = {**dict.fromkeys(text, str), "metrics": dict}
        result = self.record(raw, required, {"flags": list, "classes": dict}, where)
        for name in result["metrics"]:
            self.metric(name, f"{where}.metrics")
        support, classes = {}, {}
        for name, row in result.get("classes", {}).items():
            place = f"{where}.classes.{name}"
            kinds = {"support": int, **dict.fromkeys(CLASS_METRICS, dict)}
            row = self.record(row, {}, kinds, place)
            n = None
            if "support" in row:
                n = support[name] = self.count(row.pop("support"), f"{place}.support", least=1)
            elif "top1" in row or "top5" in row or not row:
                self.fail(place, "has no 'support'")
            classes[name] = {key: self.number(item, n, f"{place}.{key}") for key, item in row.items()}
        return PublishedResult(
            **{key: result[key] for key in text},
            flags=self.flags(result.get("flags", []), f"{where}.flags"),
            metrics={k: self.number(v, None, f"{where}.metrics.{k}") for k, v in result["metrics"].items()},
            support=support,
            classes=classes,
        )

    def number(self, raw: Any, support: int | None, where: str) -> Number:
        """Check a number; `support` is the class's, for which n need not be written."""
        item = self.record(raw, {}, _NUMBER, where)
        n = support if support is not None else item.get("n")
        hits = item.get("hits")
        if n is not None:
            self.count(n, f"{where}.n", least=1)
        if hits is not None and (n is None or not 0 <= hits <= n):
            self.fail(f"{where}.hits", f"{hits} of {n} is no proportion")
        value = hits / n if hits is not None and n else item.get("value", item.get("printed"))
        if value is None:
            self.fail(where, "has no hits, no value and no printed number")
        low, high = self.range(item.get("range", [value, value]), f"{where}.range")
        flags = self.flags(item.get("flags", []), f"{where}.flags")
        return Number(value, low, high, hits, n, item.get("printed"), flags, item.get("note", ""))

    def range(self, ends: list[Any], where: str) -> tuple[float, float]:
        numbers = [float(self.typed(end, float, where)) for end in ends]
        if len(numbers) != 2 or not 0 <= numbers[0] <= numbers[1] <= 1:
            self.fail(where, f"two numbers 0 <= low <= high <= 1, not {ends!r}")
        return numbers[0], numbers[1]

    def pinned(self, top: Mapping[str, Any], results: list[Any]) -> Pinned:
        data = self.record(top["data"], {"source": str, "fingerprint": str}, {}, "data")
        tables = self.typed(top["stages"], dict, "stages")
        stages = {name: self.stage(item, f"stages.{name}") for name, item in tables.items()}
        return Pinned(
            task_version=self.typed(top["task_version"], int, "task_version"),
            source=data["source"],
            fingerprint=data["fingerprint"],
            stages=stages,
            results=tuple(
                self.pinned_result(item, stages, f"results[{i}]") for i, item in enumerate(results)
            ),
        )

    def stage(self, raw: Any, where: str) -> PinnedStage:
        fields = {"classes": list, "train_support": list, "items": str, "n": int, "truth": str}
        more = {"kind": str, "known": list, "people": dict, "folds": dict}
        item = self.record(raw, fields, more, where)
        classes = tuple(self.typed(name, str, f"{where}.classes") for name in item["classes"])
        support = tuple(self.count(n, f"{where}.train_support") for n in item["train_support"])
        if not classes or len(set(classes)) != len(classes) or len(support) != len(classes):
            self.fail(where, "needs different classes and one train_support for each")
        n, kind = self.count(item["n"], f"{where}.n", least=1), item.get("kind", "multiclass")
        if kind not in KINDS:
            raise unknown("kind", kind, KINDS, f"{self.file}: {where}")
        if kind == "multiclass":
            self.unpacked(item["truth"], n, len(classes), f"{where}.truth")
        else:
            self.unpacked(item["truth"], n * len(classes), 1, f"{where}.truth")
        known = None
        if "known" in item:
            known = tuple(self.count(count, f"{where}.known") for count in item["known"])
            if len(known) != len(classes):
                self.fail(f"{where}.known", "must be a count for each class")
        pairs = self.pairs(item, n, where) if kind == "verification" else {}
        return PinnedStage(classes, support, item["items"], n, item["truth"], kind, known, **pairs)

    def pairs(self, item: Mapping[str, Any], n: int, where: str) -> dict[str, Any]:
        """Check who is on n pairs of photos, and their folds."""
        self.keys(item, (*item, "people", "folds"), (), where)
        if len(item["classes"]) != 1:
            self.fail(where, "pairs have one class")
        people = self.record(
            item["people"], {"count": int, "first": str, "second": str}, {}, f"{where}.people"
        )
        folds = self.record(item["folds"], {"count": int, "of": str}, {}, f"{where}.folds")
        for table, keys, place in ((people, ("first", "second"), "people"), (folds, ("of",), "folds")):
            self.count(table["count"], f"{where}.{place}.count", least=1)
            for key in keys:
                self.unpacked(table[key], n, table["count"], f"{where}.{place}.{key}")
        return {
            "people": people["count"],
            "packed_people": (people["first"], people["second"]),
            "folds": folds["count"],
            "packed_folds": folds["of"],
        }

    def pinned_result(self, raw: Any, stages: Mapping[str, PinnedStage], where: str) -> PinnedResult:
        text = ("stage", "regime", "backbone", "weights", "method")
        item = self.record(raw, {**dict.fromkeys(text, str), "protocol": dict, "seeds": dict}, {}, where)
        if item["stage"] not in stages:
            raise unknown("stage", item["stage"], stages, f"{self.file}: {where}")
        stage, runs = stages[item["stage"]], {}
        for seed, run in item["seeds"].items():
            if not (seed.isascii() and seed.isdigit()):
                self.fail(f"{where}.seeds", f"{seed!r} is no seed")
            runs[int(seed)] = self.run(run, stage, f"{where}.seeds.{seed}")
        return PinnedResult(**{key: item[key] for key in text}, protocol=item["protocol"], runs=runs)

    def run(self, raw: Any, stage: PinnedStage, where: str) -> PinnedRun:
        single, paired = stage.kind == "multiclass", stage.kind == "verification"
        fields = {"cell": str, "metrics": dict, "answers" if single else "scores": str}
        more = {"top5": str} if single else {"pair_cuts": str} if paired else {"cuts": list}
        item = self.record(raw, fields, more, where)
        for name, value in item["metrics"].items():
            self.metric(name, f"{where}.metrics")
            if value is not None:
                self.typed(value, float, f"{where}.metrics.{name}")
        if paired:
            self.keys(item, (*item, "pair_cuts"), (), where)
            for key in ("scores", "pair_cuts"):
                self.unpacked(item[key], 4 * stage.n, 1, f"{where}.{key}")
            packed = item["scores"], item["pair_cuts"]
            return PinnedRun(item["cell"], item["metrics"], packed_scores=packed[0], packed_cuts=packed[1])
        if not single:
            self.unpacked(item["scores"], 4 * stage.n * len(stage.classes), 1, f"{where}.scores")
            cuts = tuple(self.typed(cut, float, f"{where}.cuts") for cut in item.get("cuts", ()))
            if "cuts" in item and len(cuts) != len(stage.classes):
                self.fail(f"{where}.cuts", "must be a number for each class")
            return PinnedRun(item["cell"], item["metrics"], packed_scores=item["scores"], cuts=cuts or None)
        self.unpacked(item["answers"], stage.n, len(stage.classes), f"{where}.answers")
        if "top5" in item:
            self.unpacked(item["top5"], (stage.n + 7) // 8, 256, f"{where}.top5")
        return PinnedRun(item["cell"], item["metrics"], item["answers"], item.get("top5"))

    def unpacked(self, text: str, n: int, k: int, where: str) -> None:
        """Check what is packed where it can be checked without numpy: its length."""
        try:
            inflate(text, n * item_size(k))
        except ValueError as error:
            self.fail(where, str(error))

    def metric(self, name: str, where: str) -> None:
        if name not in METRICS:
            raise unknown("metric", name, METRICS, f"{self.file}: {where}")

    def record(
        self, raw: Any, required: Mapping[str, type], optional: Mapping[str, type], where: str
    ) -> dict[str, Any]:
        """Return an object whose keys are known and whose values have their types."""
        table = self.typed(raw, dict, where)
        self.keys(table, required, optional, where)
        kinds = {**required, **optional}
        return {key: self.typed(value, kinds[key], f"{where}.{key}") for key, value in table.items()}

    def keys(
        self, table: Mapping[str, Any], required: Iterable[str], optional: Iterable[str], where: str
    ) -> None:
        required = tuple(required)
        allowed = (*required, *optional)
        for key in table:
            if key not in allowed:
                raise unknown("key", key, allowed, f"{self.file}: in {where}")
        for key in required:
            if key not in table:
                self.fail(where, f"has no {key!r}")

    def count(self, value: Any, where: str, least: int = 0) -> int:
        if self.typed(value, int, where) < least:
            self.fail(where, f"at least {least}, not {value}")
        return int(value)

    def typed(self, value: Any, kind: type, where: str) -> Any:
        if kind is float and type(value) is int:
            return float(value)
        if type(value) is not kind or (type(value) is float and not math.isfinite(value)):
            shown = repr(value)
            self.fail(
                where, f"must be {_TYPES[kind]}, not {shown if len(shown) <= 60 else shown[:57] + '...'}"
            )
        return value

    def fail(self, where: str, why: str) -> NoReturn:
        raise BenchError(f"{self.file}: {where}: {why}")
