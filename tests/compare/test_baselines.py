"""Baseline files: the shipped say what their source says, faulty ones are one-line errors, pins come back."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench.compare.baselines.find import (
    find_baselines,
    list_baselines,
    load_baseline,
    none_published,
    published_for,
)
from bench.compare.baselines.packing import pack, pack_bits, unpack, unpack_bits
from bench.compare.baselines.pin import pin, write_baseline
from bench.compare.baselines.types import Baseline, check_name
from bench.core.errors import BenchError, NothingMeasured, StoreError
from bench.core.predictions import items_hash
from bench.kinds.multiclass import metrics as multiclass
from bench.metrics import scores as on_scores
from tests.fakes import noisy, predictions, stored

SHIPPED = Path(__file__).resolve().parents[2] / "baselines"


@pytest.fixture(scope="module")
def seed_003() -> Baseline:
    """Return the published fashion baseline."""
    return load_baseline("fashion", "seed-003-resnet50", [SHIPPED])


def test_every_shipped_baseline_is_read_and_listed() -> None:
    rows, _ = list_baselines([SHIPPED])
    assert {row["baseline"] for row in rows} >= {"seed-003-resnet50", "second-resnet50"}
    assert all(row["type"] in ("published", "pinned") and row["summary"] for row in rows)
    assert next(row for row in rows if row["baseline"] == "second-resnet50")["flags"] == "different-protocol"


@pytest.mark.parametrize(
    "stage, classes, scored, hits, micro, macro",
    [("top20", 19, 14034, 12546, 0.894, 0.888), ("remaining", 68, 4159, 3212, 0.7723, 0.614)],
)
def test_hits_and_supports_sum_to_the_published_averages(
    seed_003: Baseline, stage: str, classes: int, scored: int, hits: int, micro: float, macro: float
) -> None:
    result = next(result for result in seed_003.published if result.stage == stage)
    assert len(result.support) == classes and sum(result.support.values()) == scored
    assert sum(row["top1"].hits or 0 for row in result.classes.values()) == hits
    average = result.metrics["top1_micro"]
    assert (average.hits, average.n) == (hits, scored)
    assert average.value == pytest.approx(micro, abs=0.5 * 10 ** -len(str(micro).partition(".")[2]))
    mean = sum(row["top1"].value for row in result.classes.values()) / classes
    assert result.metrics["top1_macro"].value == pytest.approx(mean, abs=1e-6)
    assert mean == pytest.approx(macro, abs=5e-4)


def test_every_printed_class_value_is_its_hits_cut_off_after_two_decimals(seed_003: Baseline) -> None:
    printed = 0
    for result in seed_003.published:
        for name, row in result.classes.items():
            for number in row.values():
                if number.printed is None:
                    continue
                printed += 1
                ends = (number.low, number.high) if number.hits is None else (number.value, number.value)
                for value in ends:
                    count = round(value * result.support[name])
                    assert value == pytest.approx(count / result.support[name], abs=1e-6)
                    assert count * 100 // result.support[name] == round(number.printed * 100)
    assert printed == 78 + 76


def test_the_top5_average_of_the_remaining_classes_is_marked(seed_003: Baseline) -> None:
    result = next(result for result in seed_003.published if result.stage == "remaining")
    number = result.metrics["top5_micro"]
    assert number.value == 0.85 and [flag.name for flag in number.flags] == ["not-reproducible"]
    least = sum(
        row["top5"].low * result.support[name] for name, row in result.classes.items() if "top5" in row
    )
    assert least / sum(result.support.values()) == pytest.approx(0.9529, abs=5e-5)
    assert [flag.name for flag in seed_003.flags] == ["test-selected"]


def test_what_is_shown_beside_a_run_is_a_published_baseline_that_can_be_compared() -> None:
    baseline = published_for("fashion", [SHIPPED])
    assert baseline is not None and baseline.name == "seed-003-resnet50"
    assert published_for("marketplace", [SHIPPED]) is None


def test_a_faulty_file_is_told_and_passed_over(tmp_path: Path) -> None:
    path = written(tmp_path, "{", "aaa")
    problems: list[str] = []
    baseline = published_for("fashion", [tmp_path, SHIPPED], problems)
    assert baseline is not None and baseline.name == "seed-003-resnet50"
    assert len(problems) == 1 and str(path) in problems[0] and "\n" not in problems[0]
    with pytest.raises(BenchError, match="not strict JSON"):
        published_for("fashion", [tmp_path, SHIPPED])


def test_what_is_published_but_cannot_be_judged_is_said() -> None:
    text = str(none_published("marketplace", [SHIPPED]))
    assert "seed-004-resnet (different-data, different-protocol)" in text and "--baseline" in text
    assert "has no published baseline" in str(none_published("nosuch", [SHIPPED]))


def test_an_unknown_baseline_names_the_nearest() -> None:
    with pytest.raises(BenchError, match="did you mean 'seed-003-resnet50'"):
        load_baseline("fashion", "seed-03-resnet50", [SHIPPED])


# Faulty files


def published() -> dict[str, Any]:
    """Return a small correct document."""
    number = {"hits": 7, "printed": 0.7}
    return {
        "format_version": 1,
        "type": "published",
        "name": "mine",
        "task": "fashion",
        "summary": "a test",
        "flags": [],
        "provenance": {},
        "results": [
            {
                "stage": "top20",
                "label": "",
                "regime": "frozen",
                "backbone": "lenet",
                "method": "none",
                "metrics": {"top1_micro": {"hits": 7, "n": 10}},
                "classes": {"Shirts": {"support": 10, "top1": number}},
            }
        ],
    }


def written(folder: Path, document: Any, name: str = "mine") -> Path:
    """Write a document as a baseline file of the fashion task."""
    path = folder / "fashion" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")
    return path


def changed(document: dict[str, Any], where: str, value: Any) -> dict[str, Any]:
    """Set one value inside a document; `where` is a path of keys and positions."""
    *parts, last = where.split("/")
    inner: Any = document
    for part in parts:
        inner = inner[int(part)] if isinstance(inner, list) else inner[part]
    inner[last] = value
    return document


RESULT = "results/0"
NUMBER = "results/0/classes/Shirts/top1"


@pytest.mark.parametrize(
    "where, value, message",
    [
        ("sumary", "x", r"unknown key 'sumary'; did you mean 'summary'\?"),
        ("format_version", 2, "format_version: 2, but this messybench reads up to 1; upgrade it"),
        ("format_version", "1", "format_version: must be a whole number, not '1'"),
        ("format_version", True, "format_version: must be a whole number, not True"),
        ("type", "printed", "type: published or pinned, not 'printed'"),
        ("name", "other", "name: 'other', but the file lies at fashion/mine.json"),
        ("task", "../x", "task: '../x', but the file lies"),
        ("results", {}, "results: must be a list"),
        ("provenance", "me", "provenance: must be an object"),
        ("flags", [{"name": "leeked", "why": ""}], r"unknown flag 'leeked'; did you mean 'leaked'\?"),
        ("flags", [{"name": "leaked"}], r"flags\[0\]: has no 'why'"),
        (f"{RESULT}/stage", 20, r"results\[0\].stage: must be text, not 20"),
        (f"{RESULT}/seed", 1, r"unknown key 'seed'.*in results\[0\]"),
        (f"{RESULT}/metrics", {"top1_mikro": {"printed": 1}}, "unknown metric 'top1_mikro'; did you mean"),
        (f"{RESULT}/classes", {"Shirts": {"support": 0}}, "support: at least 1, not 0"),
        (f"{NUMBER}/hits", 11, "11 of 10 is no proportion"),
        (f"{NUMBER}/hits", -1, "-1 of 10 is no proportion"),
        (f"{NUMBER}/printed", "0.7", "printed: must be a number"),
        (f"{NUMBER}/range", [0.8, 0.7], "two numbers 0 <= low <= high <= 1"),
        (f"{NUMBER}/range", [0.7], "two numbers 0 <= low <= high <= 1"),
        (f"{RESULT}/classes/Shirts/top1", {}, "has no hits, no value and no printed number"),
    ],
)
def test_a_faulty_file_is_one_line_that_names_file_and_place(
    tmp_path: Path, where: str, value: Any, message: str
) -> None:
    path = written(tmp_path, changed(published(), where, value))
    with pytest.raises(BenchError, match=message) as caught:
        load_baseline("fashion", "mine", [tmp_path])
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    rows, problems = list_baselines([tmp_path, SHIPPED])
    assert problems == [str(caught.value)] and "mine" not in {row["baseline"] for row in rows} and rows


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "not strict JSON"),
        ('{"a": NaN}', "NaN is not a number"),
        ('{"a": 1, "a": 2}', "key 'a' appears twice"),
        ("[]", "the file: must be an object"),
        ("[" * 100_000, "not strict JSON"),
        ('{"format_version": 1e999}', "must be a whole number"),
    ],
)
def test_what_is_not_strict_json_is_refused(tmp_path: Path, text: str, message: str) -> None:
    written(tmp_path, text)
    with pytest.raises(BenchError, match=message):
        load_baseline("fashion", "mine", [tmp_path])


def test_a_file_that_cannot_be_read_is_a_store_error(tmp_path: Path) -> None:
    (tmp_path / "fashion" / "mine.json").mkdir(parents=True)
    with pytest.raises(StoreError, match="cannot be read"):
        load_baseline("fashion", "mine", [tmp_path])


def test_the_first_folder_wins(tmp_path: Path) -> None:
    written(tmp_path, {**published(), "name": "seed-003-resnet50", "summary": "my own"}, "seed-003-resnet50")
    assert load_baseline("fashion", "seed-003-resnet50", [tmp_path, SHIPPED]).summary == "my own"
    assert len(find_baselines([tmp_path, SHIPPED], "fashion")) == len(find_baselines([SHIPPED], "fashion"))


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", "../x", "a\\b", "/etc/x", "a..b", "x.json", "a b", "-x", "x" * 65, "a\n"]
)
def test_a_name_is_a_name_and_no_path(name: str) -> None:
    with pytest.raises(BenchError, match="baseline name"):
        check_name(name)


def test_ordinary_names_are_names() -> None:
    assert [check_name(name) for name in ("a", "seed-003-resnet50", "v1.2_x")] == [
        "a",
        "seed-003-resnet50",
        "v1.2_x",
    ]


# Pinned


def grid() -> list[Any]:
    """Return cells of two stages, two methods and two seeds."""
    like = {"top20": noisy(300, 12, 0.8, 0), "remaining": noisy(40, 5, 0.5, 1)}
    return [
        stored(
            noisy(len(test.items), len(test.classes), 0.8, 10 + seed, like=test),
            seed,
            stage=stage,
            method=method,
        )
        for stage, test in like.items()
        for method in ("none", "class_weight")
        for seed in (0, 1)
    ]


def test_a_pin_comes_back_whole(tmp_path: Path) -> None:
    cells = grid()
    path = write_baseline(pin(cells, "mine"), tmp_path)
    baseline = load_baseline("fashion", "mine", [tmp_path])
    assert path == tmp_path / "fashion" / "mine.json" and not list(path.parent.glob("*.tmp"))
    assert baseline.summary == "8 cells of messybench on drawn-small"
    assert baseline.provenance == {
        "commands": ["bench run --task fashion"],
        "environments": [{"python": "3.11"}],
    }
    pinned = baseline.pinned
    assert pinned is not None and (pinned.task_version, pinned.source) == (1, "drawn-small")
    assert [(r.stage, r.method, sorted(r.runs)) for r in pinned.results] == [
        (stage, method, [0, 1]) for stage in ("top20", "remaining") for method in ("none", "class_weight")
    ]
    for cell in cells:
        identity = cell.result["cell"]
        result = next(
            r for r in pinned.results if (r.stage, r.method) == (identity["stage"], identity["method_text"])
        )
        run = result.runs[identity["seed"]]
        assert run.cell == cell.result["id"]
        assert run.metrics["f1_macro"] == cell.result["metrics"]["test"]["f1_macro"]
        back = pinned.predictions(result, identity["seed"])
        assert pinned.stages[result.stage].items == items_hash(cell.test)
        told = ("top1_micro", "top5_micro", "f1_macro", "precision_macro", "many_top1", "medium_top1")
        ours, theirs = multiclass.summary(cell.test), multiclass.summary(back)
        assert {name: theirs[name] for name in told} == pytest.approx(
            {name: ours[name] for name in told}, nan_ok=True
        )


def test_the_order_of_items_does_not_matter() -> None:
    test = noisy(50, 7, 0.6, 3)
    order = np.random.default_rng(0).permutation(50)
    other = predictions(
        test.truth[order],
        test.scores.argmax(axis=1)[order],
        7,
        np.asarray(on_scores.hits(test)[1])[order],
        items=tuple(test.items[i] for i in order),
    )
    assert items_hash(other) == items_hash(test)
    one, two = pin([stored(test)], "x"), pin([stored(other)], "x")
    assert one["results"][0]["seeds"]["0"]["answers"] == two["results"][0]["seeds"]["0"]["answers"]
    assert one["stages"] == two["stages"]


def test_a_pinned_sample_is_small(tmp_path: Path) -> None:
    tests = {"top20": noisy(600, 20, 0.8, 0), "remaining": noisy(150, 12, 0.6, 1)}
    cells = [
        stored(
            noisy(len(test.items), len(test.classes), 0.8, seed, like=test), seed, stage=stage, method=method
        )
        for stage, test in tests.items()
        for method in ("none", "class_weight", "oversample", "logit_adjust")
        for seed in range(3)
    ]
    assert write_baseline(pin(cells, "small"), tmp_path).stat().st_size < 60_000


def test_only_measured_cells_of_one_grid_can_be_pinned() -> None:
    test = noisy(60, 7, 0.6, 3)
    with pytest.raises(NothingMeasured, match="no measured cell"):
        pin([stored(test, status="failed")], "x")
    with pytest.raises(
        BenchError, match="2 different tasks, versions or data sets; narrow them with --source"
    ):
        pin([stored(test), stored(test, 1, source="kaggle-fashion")], "x")
    with pytest.raises(BenchError, match="lenet, none, stage top20 differ in protocol"):
        pin([stored(test), stored(test, protocol={"epochs": 5})], "x")
    with pytest.raises(BenchError, match="differ in protocol"):
        pin([stored(test), stored(test, 1, protocol={"epochs": 5})], "x")
    with pytest.raises(BenchError, match="stage top20 scored different images"):
        pin([stored(test), stored(noisy(60, 7, 0.6, 4), 1)], "x")
    assert len(pin([stored(test), stored(test, 1, status="failed")], "x")["results"][0]["seeds"]) == 1


def test_a_pin_is_replaced_only_by_force_and_a_published_baseline_never(tmp_path: Path) -> None:
    document = pin([stored(noisy(30, 6, 0.5, 0))], "mine", "first")
    write_baseline(document, tmp_path)
    with pytest.raises(BenchError, match="exists already; --force replaces it"):
        write_baseline({**document, "summary": "second"}, tmp_path)
    assert load_baseline("fashion", "mine", [tmp_path]).summary == "first"
    write_baseline({**document, "summary": "second"}, tmp_path, force=True)
    assert load_baseline("fashion", "mine", [tmp_path]).summary == "second"
    written(tmp_path, published())
    with pytest.raises(BenchError, match="published baseline and is not replaced"):
        write_baseline(document, tmp_path, force=True)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    document = pin([stored(noisy(30, 6, 0.5, 0))], "mine", "first")
    write_baseline(document, tmp_path)
    with pytest.raises(ValueError):
        write_baseline({**document, "summary": math.nan}, tmp_path, force=True)
    assert load_baseline("fashion", "mine", [tmp_path]).summary == "first"
    assert [path.name for path in (tmp_path / "fashion").iterdir()] == ["mine.json"]
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_baseline(document, blocked)


@pytest.mark.parametrize(
    "where, value, message",
    [
        ("stages/top20/truth", "AAAA", "not base64 of deflated bytes"),
        ("stages/top20/truth", "é", "not base64"),
        ("stages/top20/truth", pack(np.zeros(29), 6), "holds fewer than 30 bytes"),
        ("stages/top20/truth", pack(np.zeros(10_000_000), 6), "holds more than 30 bytes"),
        ("stages/top20/classes", ["a"] * 6, "needs different classes"),
        ("results/0/stage", "top21", r"unknown stage 'top21'; did you mean 'top20'\?"),
        ("results/0/seeds", {"-1": {}}, "'-1' is no seed"),
        ("results/0/seeds/0/answers", "", "not base64 of deflated bytes|holds fewer"),
        ("data", {"source": "x"}, "data: has no 'fingerprint'"),
    ],
)
def test_a_damaged_pin_is_one_line(tmp_path: Path, where: str, value: Any, message: str) -> None:
    document = json.loads(json.dumps(pin([stored(noisy(30, 6, 0.5, 0))], "mine")))
    written(tmp_path, changed(document, where, value))
    with pytest.raises(BenchError, match=message):
        load_baseline("fashion", "mine", [tmp_path])


@pytest.mark.parametrize("k", [6, 256, 257, 70_000])
def test_packing_is_undone_by_unpacking(k: int) -> None:
    rng = np.random.default_rng(0)
    indices, bits = rng.integers(0, k, 999), rng.random(999) < 0.3
    indices[0] = k - 1
    assert np.array_equal(unpack(pack(indices, k), 999, k), indices)
    assert np.array_equal(unpack_bits(pack_bits(bits), 999), bits)


def test_an_answer_that_is_no_class_is_damage() -> None:
    with pytest.raises(BenchError, match="damaged: class 9 of 9; pin it again"):
        unpack(pack(np.arange(10), 10), 10, 9)
