"""Reader of one baseline file, with all checks; baselines/README.md describes the format."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from bench.compare.baselines.checks import FileChecks
from bench.compare.baselines.pinning import PinnedRun, PinnedStage, pinning_of
from bench.compare.baselines.types import (
    CLASS_METRICS,
    FLAGS,
    FORMAT_VERSION,
    Baseline,
    Flag,
    Number,
    Pinned,
    PinnedResult,
    PublishedResult,
)
from bench.compare.conditions import check_condition
from bench.core.errors import BenchError, StoreError, unknown
from bench.core.kind import KINDS, UNNAMED, is_kind
from bench.core.regular_files import Refused, read_file

_NUMBER = {"hits": int, "n": int, "value": float, "printed": float, "range": list, "flags": list, "note": str}


def read_baseline(path: Path) -> Baseline:
    """Read and check a baseline. Raises StoreError if unreadable, BenchError if faulty."""
    try:
        raw = json.loads(
            read_file(path).decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_no_duplicates
        )
    except Refused as why:
        raise StoreError(f"{path}: cannot be read ({why})") from None
    except (ValueError, RecursionError) as error:
        raise BenchError(f"{path}: not strict JSON: {error}") from None
    return _Reader(str(path)).baseline(raw, path)


def _no_constant(text: str) -> NoReturn:
    raise ValueError(f"{text} is not a number")


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        (key, _), *_ = Counter(key for key, _ in pairs).most_common(1)
        raise ValueError(f"key {key[:80]!r} appears twice")
    return out


class _Reader(FileChecks):
    """Converter of JSON to a Baseline."""

    def baseline(self, raw: Any, path: Path) -> Baseline:
        top = self.typed(raw, dict, "the file")
        version = self.typed(top.get("format_version"), int, "format_version")
        if version > FORMAT_VERSION:
            self.fail(
                "format_version", f"{version}, but this messybench reads up to {FORMAT_VERSION}; upgrade it"
            )
        source = top.get("type")
        if source not in ("published", "pinned"):
            self.fail("type", f"published or pinned, not {source!r}")
        common = ("format_version", "type", "name", "task", "summary", "flags", "provenance", "results")
        more = () if source == "published" else ("task_version", "data", "stages")
        self.keys(top, (*common, *more), ("conditions",) if source == "published" else (), "the file")
        for key, expected in (("name", path.stem), ("task", path.parent.name)):
            if top[key] != expected:
                self.fail(key, f"{top[key]!r}, but the file lies at {path.parent.name}/{path.name}")
        results = self.typed(top["results"], list, "results")
        stated = self.conditions(top.get("conditions", {}), "conditions")
        return Baseline(
            name=top["name"],
            task=top["task"],
            type=source,
            summary=self.typed(top["summary"], str, "summary"),
            flags=self.flags(top["flags"], "flags"),
            provenance=self.typed(top["provenance"], dict, "provenance"),
            published=tuple(self.published(item, stated, f"results[{i}]") for i, item in enumerate(results))
            if source == "published"
            else (),
            pinned=self.pinned(top, results) if source == "pinned" else None,
        )

    def flags(self, raw: Any, where: str) -> tuple[Flag, ...]:
        out = []
        for i, item in enumerate(self.typed(raw, list, where)):
            flag = self.record(item, {"name": str, "why": str}, {}, f"{where}[{i}]")
            if flag["name"] not in FLAGS:
                raise unknown("flag", flag["name"], FLAGS, f"{self.file}: {where}[{i}]")
            out.append(Flag(flag["name"], flag["why"]))
        return tuple(out)

    def conditions(self, raw: Any, where: str) -> dict[str, str]:
        """Check stated conditions."""
        table = self.typed(raw, dict, where)
        for name, value in table.items():
            check_condition(name, self.typed(value, str, f"{where}.{name}"), f"{self.file}: {where}")
        return dict(table)

    def published(self, raw: Any, stated: Mapping[str, str], where: str) -> PublishedResult:
        """Check a published result. stated: conditions of all results, which it can override."""
        text = ("stage", "label", "regime", "backbone", "method")
        required = {**dict.fromkeys(text, str), "metrics": dict}
        result = self.record(raw, required, {"flags": list, "classes": dict, "conditions": dict}, where)
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
            conditions={**stated, **self.conditions(result.get("conditions", {}), f"{where}.conditions")},
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
        kind = self.typed(raw, dict, where).get("kind", UNNAMED)
        if not is_kind(self.typed(kind, str, f"{where}.kind")):
            raise unknown("kind", kind, KINDS, f"{self.file}: {where}")
        facet = pinning_of(kind)
        common = {"classes": list, "train_support": list, "items": str, "n": int}
        item = self.record(raw, {**common, **facet.STAGE}, {"kind": str, **facet.MAYBE}, where)
        classes = tuple(self.typed(name, str, f"{where}.classes") for name in item["classes"])
        support = tuple(self.count(n, f"{where}.train_support") for n in item["train_support"])
        if not classes or len(set(classes)) != len(classes) or len(support) != len(classes):
            self.fail(where, "needs different classes and one train_support for each")
        n = self.count(item["n"], f"{where}.n", least=1)
        packed = {key: value for key, value in item.items() if key not in (*common, "kind")}
        facet.check_stage(self, packed, n, len(classes), where)
        return PinnedStage(classes, support, item["items"], n, kind, packed)

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
        facet = pinning_of(stage.kind)
        item = self.record(raw, {"cell": str, "metrics": dict, **facet.RUN}, facet.MAYBE, where)
        for name, value in item["metrics"].items():
            self.metric(name, f"{where}.metrics")
            if value is not None:
                self.typed(value, float, f"{where}.metrics.{name}")
        packed = {key: value for key, value in item.items() if key not in ("cell", "metrics")}
        facet.check_run(self, packed, stage, where)
        return PinnedRun(item["cell"], item["metrics"], packed)
