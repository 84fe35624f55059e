"""Conditions: what runs meet, what baselines state, and that a verdict needs both to agree."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.compare.against_baseline import compare
from bench.compare.baselines.find import load_baseline
from bench.compare.baselines.types import Baseline
from bench.compare.conditions import comparable_run, conditions_of, declared, disagreement
from bench.compare.published import compare_published
from bench.compare.side import Side, sides_of
from bench.compare.verdict import BETTER, INCOMPARABLE, SAME, WORSE, Comparison
from bench.core.errors import BenchError
from bench.report.comparison_tables import compare_table
from bench.store.write import Store
from tests.fakes import noisy, stored
from tests.grids import attributes, faces, put

SHIPPED = Path(__file__).resolve().parents[2] / "baselines"


@cache
def _photos(folds: int = 10) -> Any:
    return faces(6000, 900, 1.9, 1, faces(6000, 900, 0.0, 98, folds=folds), folds=folds)


def _setting(root: Path, method: str, weights: str = "none", **more: Any) -> Side:
    fields = {"task": "faces", "stage": "all", "regime": "frozen", "source": "people", "backbone": "lbp"}
    put(root, _photos(), 0, kind="verification", method=method, weights=weights, **{**fields, **more})
    (setting,) = sides_of(Store(root).load()[0], "faces")
    return setting


def _beside_lfw(setting: Side) -> dict[str, Comparison]:
    baseline = load_baseline("faces", "lfw-no-outside-data", [SHIPPED])
    rows = [row for result in baseline.published for row in compare_published(setting, baseline, result)]
    return {row.sides.against.rpartition(" · ")[2]: row for row in rows}


def test_a_run_that_knows_who_is_who_is_not_judged_beside_those_that_do_not(tmp_path: Path) -> None:
    rows = _beside_lfw(_setting(tmp_path, "joint_bayes"))
    assert {row.verdict.name for row in rows.values()} == {INCOMPARABLE}
    assert rows["Eigenfaces"].verdict.why == (
        "supervision: unrestricted, published image-restricted; "
        "alignment: not stated (--condition alignment=VALUE), published none"
    )
    unsupervised = rows["unsupervised: H-XS-40, 81x150"]
    assert unsupervised.verdict.why == "supervision: unrestricted, published unsupervised"
    assert rows["Eigenfaces"].difference.value is not None and rows["Eigenfaces"].difference.low is None
    assert rows["Eigenfaces"].verdict.comparable_run.endswith("--method 'joint_bayes(by=pairs)'")
    assert unsupervised.verdict.comparable_run.endswith("--method cosine")


@pytest.mark.parametrize(
    ("method", "weights", "judged"),
    [
        ("siamese", "none", {"3x3 multi-region histograms"}),
        ("cosine", "none", {"unsupervised: H-XS-40, 81x150", "unsupervised: GJD-BC-100, 122x225"}),
        ("siamese", "random", {"3x3 multi-region histograms"}),
        ("siamese", "none+imagenet", set()),
        ("siamese", "sha256:00", set()),
        ("no such method", "none", set()),
    ],
)
def test_only_equal_conditions_are_judged(
    tmp_path: Path, method: str, weights: str, judged: set[str]
) -> None:
    rows = _beside_lfw(_setting(tmp_path, method, weights))
    assert {name for name, row in rows.items() if row.verdict.name != INCOMPARABLE} == judged
    assert all(rows[name].verdict.why == "alignment not stated by the baseline" for name in judged)


def test_how_photos_were_aligned_is_declared(tmp_path: Path) -> None:
    setting = _setting(tmp_path, "siamese")
    row = _beside_lfw(setting)["Nowak, funneled"]
    assert row.verdict.why == "alignment: not stated (--condition alignment=VALUE), published funneled"
    assert row.verdict.comparable_run == ""
    told = _beside_lfw(replace(setting, declared={"alignment": "funneled"}))
    assert told["Nowak, funneled"].verdict.name not in (INCOMPARABLE, None)
    assert told["Nowak, funneled"].verdict.why == ""
    assert told["Nowak"].verdict.why == "alignment: funneled, published none"
    plain = _beside_lfw(replace(setting, declared={"alignment": "none"}))
    assert {plain[name].verdict.name for name in ("Nowak", "Eigenfaces")} == {BETTER}
    other = _beside_lfw(replace(setting, declared={"alignment": "landmarks"}))
    assert other["Nowak, funneled"].verdict.why == "alignment: landmarks, published funneled"
    assert declared(("alignment=none",)) == {"alignment": "none"}
    for text, why in (
        ("alignment", "write NAME=VALUE"),
        ("align=none", "did you mean 'alignment'"),
        ("alignment=funneld", "did you mean 'funneled'"),
        ("supervision=unsupervised", "declare only alignment"),
        ("alignment=unknown", "leave out what you do not know"),
    ):
        with pytest.raises(BenchError, match=why):
            declared((text,))
    with pytest.raises(BenchError, match="given twice"):
        declared(("alignment=none", "alignment=funneled"))


def test_the_command_declares_and_offers(tmp_path: Path) -> None:
    _setting(tmp_path, "joint_bayes")
    line = ["compare", "--task", "faces", "--baseline", "lfw-no-outside-data", "--baselines", str(SHIPPED)]
    done = CliRunner().invoke(cli, [*line, "--results", str(tmp_path)], standalone_mode=False)
    assert (
        "A run under the published conditions: bench run" in done.stdout
        and "joint_bayes(by=pairs)" in done.stdout
    )
    _setting(tmp_path / "siamese", "siamese")
    line += ["--results", str(tmp_path / "siamese"), "--format", "json"]
    counts = []
    for more in ([], ["--condition", "alignment=funneled"]):
        done = CliRunner().invoke(cli, [*line, *more], standalone_mode=False)
        rows = json.loads(done.stdout)
        rows = rows["rows"] if isinstance(rows, dict) else rows
        counts.append(sum(row["verdict"] != INCOMPARABLE for row in rows))
    assert counts == [1, 5]


def _published(kind: str, n: int, per_class: dict[str, int], conditions: dict[str, str]) -> dict[str, Any]:
    metric = {"multiclass": "top1_micro", "multilabel": "exact_match"}[kind]
    key = {"multiclass": "top1", "multilabel": "accuracy"}[kind]
    classes = {name: {"support": count, key: {"hits": count // 2}} for name, count in per_class.items()}
    result = {
        "stage": "all",
        "label": "",
        "regime": "frozen",
        "backbone": "b",
        "method": "none",
        "metrics": {metric: {"hits": n // 2, "n": n}},
        "classes": classes,
    }
    common = {"format_version": 1, "type": "published", "name": "paper", "task": "t", "summary": "s"}
    return {**common, "flags": [], "provenance": {}, "conditions": conditions, "results": [result]}


@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
def test_outside_data_counts_for_every_kind(tmp_path: Path, kind: str) -> None:
    pred = noisy(300, 3, 0.8, 1) if kind == "multiclass" else attributes(300, 3, 1.0, 1)
    put(tmp_path / "r", pred, 0, kind=kind, task="t", stage="all", weights="imagenet", regime="frozen")
    cells = Store(tmp_path / "r").load()[0]
    support = {row["class"]: row["test_support"] for row in cells[0].per_class}
    for stated, judged in (
        ({"outside_data": "imagenet", "supervision": "supervised"}, True),
        ({"outside_data": "none"}, False),
        ({"outside_data": "other"}, False),
        ({"outside_data": "unknown", "supervision": "supervised"}, False),
        ({"outside_data": "imagenet", "supervision": "unknown"}, False),
        ({"supervision": "supervised"}, True),
        ({}, True),
    ):
        path = tmp_path / "b/t/paper.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(_published(kind, 300, support, stated)))
        rows = compare(cells, load_baseline("t", "paper", [tmp_path / "b"]))
        assert ({row.verdict.name for row in rows} != {INCOMPARABLE}) is judged, stated
        left_out = [name.replace("_", " ") for name in ("supervision", "outside_data") if name not in stated]
        said = f"{' and '.join(left_out)} not stated by the baseline" if left_out else ""
        verdicts = [row for row in rows if row.verdict.name in (BETTER, WORSE, SAME)]
        assert bool(verdicts) is judged
        assert all(row.verdict.why == (said if row.class_name is None else "") for row in verdicts)
        offered = {row.verdict.comparable_run for row in rows}
        wants_none = stated.get("outside_data") == "none"
        assert all("--regime scratch --weights random" in text for text in offered) is wants_none


@pytest.mark.parametrize(
    ("place", "value", "why"),
    [
        ("conditions", {"supervison": "none"}, "did you mean 'supervision'"),
        ("conditions", {"supervision": "image_restricted"}, "did you mean 'image-restricted'"),
        ("conditions", {"outside_data": None}, "must be text"),
        ("conditions", [], "must be an object"),
    ],
)
def test_a_faulty_condition_is_one_line(tmp_path: Path, place: str, value: Any, why: str) -> None:
    path = tmp_path / "t/paper.json"
    path.parent.mkdir(parents=True)
    for inside in (False, True):
        document = _published("multiclass", 10, {"a": 5, "b": 5}, {})
        (document["results"][0] if inside else document)[place] = value
        path.write_text(json.dumps(document))
        with pytest.raises(BenchError, match=why) as error:
            load_baseline("t", "paper", [tmp_path])
        assert "\n" not in str(error.value) and "paper.json" in str(error.value)


@pytest.mark.parametrize(
    ("method", "supervision", "regime", "offered"),
    [
        ("whiten+joint_bayes", "image-restricted", "frozen", "whiten+joint_bayes(by=pairs)"),
        ("arcface", "image-restricted", "frozen", "pair_logistic"),
        ("whiten+arcface", "image-restricted", "finetune", "pair_logistic"),
        ("whiten+siamese", "unsupervised", "frozen", "whiten+cosine"),
        ("cosine", "unrestricted", "scratch", ""),
    ],
)
def test_the_method_offered_is_of_the_setting_and_runs_in_the_regime(
    tmp_path: Path, method: str, supervision: str, regime: str, offered: str
) -> None:
    setting = _setting(tmp_path, method, regime=regime)
    typed = comparable_run(setting, {"supervision": supervision})
    if not offered:
        assert typed == ""
        return
    assert typed.split("--method ")[1].strip("'") == offered
    assert conditions_of(replace(setting, method=offered))["supervision"] == supervision


def test_the_command_offered_keeps_what_was_typed_and_nothing_that_is_not_ours(tmp_path: Path) -> None:
    setting = _setting(tmp_path, "arcface")
    (cell,) = setting.cells.values()

    def offered(command: str) -> str:
        record = {**cell.result, "command": command}
        fake = replace(stored(noisy(10, 2, 0.5, 0)), result=record)
        return comparable_run(replace(setting, cells={0: fake}), {"supervision": "image-restricted"})

    assert (
        offered(
            "bench run --task faces --method=arcface,cosine --data 'my faces' --method triplet --seed 0-4"
        )
        == "bench run --task faces --data 'my faces' --seed 0-4 --method pair_logistic"
    )
    for hostile in ("rm -rf /", "bench run '", ""):
        assert offered(hostile) == "bench run --task faces --backbone lbp --method pair_logistic"


def test_every_published_result_says_what_it_was_trained_on_or_that_it_is_not_known() -> None:
    """Whether photos of faces were aligned, the tables of the data set do not say of every row."""
    found = {path: load_baseline(path.parent.name, path.stem, [SHIPPED]) for path in SHIPPED.glob("*/*.json")}
    results = [(path.stem, result) for path, one in found.items() for result in one.published]
    assert len(results) > 20
    for name, result in results:
        assert {"supervision", "outside_data"} <= {*result.conditions}, (name, result.label)
    unknown = {name for name, result in results if "unknown" in result.conditions.values()}
    assert unknown == {"seed-002", "second-resnet50", "seed-004-resnet", "third-resnet34"}


def test_the_table_says_under_which_conditions_the_published_numbers_were_reached(tmp_path: Path) -> None:
    setting = _setting(tmp_path, "siamese")
    baseline = load_baseline("faces", "lfw-no-outside-data", [SHIPPED])
    table = compare_table(compare([*setting.cells.values()], baseline), baseline)
    assert table.notes[-1] == (
        "Published conditions: supervision image-restricted or unsupervised; outside data none; "
        "alignment funneled or not stated or none or landmarks."
    )


def test_what_two_published_results_state_must_agree() -> None:
    assert disagreement({"outside_data": "none"}, {"outside_data": "none"}) == ""
    for value in ("other", "unknown"):
        assert disagreement({"outside_data": value}, {"outside_data": value}) != ""
    from bench.compare.resolve import Candidate
    from bench.compare.two_runs import compare_candidates

    baseline: Baseline = load_baseline("faces", "lfw-no-outside-data", [SHIPPED])
    eigen, histograms = (
        Candidate(r.label, r.stage, published=r, baseline=baseline)
        for r in baseline.published
        if r.label in ("Eigenfaces", "unsupervised: H-XS-40, 81x150")
    )
    rows = compare_candidates([eigen], [histograms])
    assert {row.verdict.why for row in rows} == {"supervision: image-restricted, theirs unsupervised"}
