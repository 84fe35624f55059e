"""Metrics on subgroups: values against fairlearn, intervals, gaps that chance makes, the four commands."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from fairlearn.metrics import MetricFrame, false_negative_rate, false_positive_rate
from sklearn.metrics import accuracy_score, balanced_accuracy_score

import bench
from bench.commands.main import cli
from bench.compare.paired_bootstrap import own_intervals
from bench.compare.subgroups import DIFFERENT, SAME, Gap, Subgroup, Subgroups
from bench.core.errors import EXIT_SOME_FAILED, BenchError
from bench.core.paths import search_path
from bench.core.predictions import Predictions
from bench.data.examples import Examples
from bench.data.sources import open_source
from bench.metrics.registry import METRICS, metrics_of
from bench.report.results_page import make_page
from bench.runs.cell_data import ColumnValues, DataLocation
from bench.runs.open_task import open_task
from bench.runs.plan import Request
from bench.store.experiment_file import store_experiment
from bench.store.read import PREDICTIONS
from bench.store.write import Store
from tests.data.layouts import as_csv, shots
from tests.data.people_folders import opened, people_folder
from tests.grids import answers, attributes, faces, put

MADE = {
    "multiclass": lambda: answers(300, 5, 0.7, 1),
    "multilabel": lambda: attributes(300, 3, 0.8, 1),
    "verification": lambda: faces(300, 60, 1.5, 1),
}


def values_of(pred: Predictions, names: Sequence[str], seed: int = 0) -> dict[str, str]:
    """Return a random value of each example."""
    rng = np.random.Generator(np.random.PCG64(seed))
    items = sorted({photo for both in pred.pairs.photos for photo in both} if pred.pairs else pred.items)
    return dict(zip(items, rng.choice(names, len(items)).tolist(), strict=True))


def subgroups(
    kind: str, pred: Predictions, values: Mapping[str, str], *metrics: str, draws: int = 300
) -> Subgroups:
    return Subgroups.of("colour", kind, {"a": pred}, values, metrics, draws)


def by_value(found: Subgroups) -> dict[str, Subgroup]:
    return {group.value: group for group in found.groups}


def gap_of(found: Subgroups, metric: str) -> Gap:
    gap = found.gap(metric, ["a"])
    assert gap is not None
    return gap


def test_values_and_gaps_are_fairlearns() -> None:
    pred = answers(400, 5, 0.7, 3)
    values = values_of(pred, ("red", "green", "blue"))
    found = subgroups("multiclass", pred, values, "top1_micro", "top1_macro", draws=1000)
    colours, answered = [values[item] for item in pred.items], pred.scores.argmax(axis=1)
    drawn = {"n_boot": 60, "ci_quantiles": [0.025, 0.975], "random_state": 0}
    for metric, theirs, more in (
        ("top1_micro", accuracy_score, drawn),
        ("top1_macro", balanced_accuracy_score, {}),
    ):
        frame = MetricFrame(
            metrics=theirs, y_true=pred.truth, y_pred=answered, sensitive_features=colours, **more
        )
        for value, group in by_value(found).items():
            assert group.items == colours.count(value)
            own = group.estimate(metric, ["a"])
            assert own is not None and own.value == pytest.approx(frame.by_group[value])
            if more:
                ends = [frame.by_group_ci[0][value], frame.by_group_ci[1][value]]
                assert [own.low, own.high] == pytest.approx(ends, abs=0.06)
        gap = gap_of(found, metric)
        assert gap.estimate.value == pytest.approx(frame.difference(method="between_groups"))
        assert (gap.worst.value, gap.best.value) == (frame.by_group.idxmin(), frame.by_group.idxmax())


def test_pairs_of_faces_have_fairlearns_error_rates_by_attribute() -> None:
    pred = faces(500, 80, 1.5, 2)
    assert pred.pairs is not None
    values = values_of(pred, ("a", "b"))
    for photo in pred.pairs.photos[0]:
        values[photo] = ""
    found = subgroups("verification", pred, values, "fmr", "fnmr", draws=200)
    labels = [" / ".join(sorted({values[one], values[other]})) for one, other in pred.pairs.photos][1:]
    answered = (pred.scores[:, 0] >= pred.pairs.cuts)[1:]
    rates = {"fmr": false_positive_rate, "fnmr": false_negative_rate}
    frame = MetricFrame(
        metrics=rates, y_true=pred.truth[1:], y_pred=answered, sensitive_features=labels
    ).by_group
    groups = by_value(found)
    assert {*groups} == {"a", "b", "a / b", ""} and groups[""].items == 1
    for value, group in groups.items():
        if value:
            for metric in rates:
                assert group.mean(metric, ["a"]) == pytest.approx(frame[metric][value])
                assert group.estimate(metric, ["a"]) is not None
    assert gap_of(found, "fmr").worst.value == frame["fmr"].idxmax()


@pytest.mark.parametrize("kind", MADE)
def test_a_subgroup_of_all_items_has_the_intervals_of_all(kind: str) -> None:
    pred, metrics = MADE[kind](), metrics_of(kind)
    values = values_of(pred, ("one",))
    (group,) = subgroups(kind, pred, values, *metrics).groups
    whole = own_intervals(kind, pred, metrics, 300)
    for metric in metrics:
        own = group.estimate(metric, ["a"])
        if own is None or own.low is None:
            assert np.isnan(whole[metric].low)
        else:
            assert (own.low, own.high) == (whole[metric].low, whole[metric].high), metric


@pytest.mark.parametrize("kind", MADE)
def test_the_order_of_items_and_classes_does_not_matter(kind: str) -> None:
    pred, metrics = MADE[kind](), [name for name in metrics_of(kind) if name not in ("ece",)]
    values = values_of(pred, ("red", "green", ""))
    rng = np.random.Generator(np.random.PCG64(9))
    rows = rng.permutation(len(pred.items))
    one, other = (
        Subgroups.of("colour", kind, {"a": pred, "b": second}, values, metrics, 100)
        for second in (pred, pred.take(rows))
    )
    assert [group.value for group in one.groups][-1] == ""
    for metric in metrics:
        for a, b in zip(one.groups, other.groups, strict=True):
            assert (
                a.estimate(metric, ["a", "b"])
                == b.estimate(metric, ["a", "b"])
                == b.estimate(metric, ["b", "b"])
            )
        assert (one.gap(metric, ["a"]) or [])[3:] == (other.gap(metric, ["b"]) or [])[3:]


def test_small_and_unknown_subgroups_are_shown_and_take_no_part_in_gaps() -> None:
    pred = answers(100, 3, 0.6, 5)
    hits = pred.scores.argmax(axis=1) == pred.truth
    right, wrong = np.flatnonzero(hits), np.flatnonzero(~hits)
    names = np.full(100, "most", object)
    names[right[:9]], names[wrong[:12]], names[right[9:22]] = "nine", "", "perfect"
    found = subgroups("multiclass", pred, dict(zip(pred.items, names, strict=True)), "top1_micro")
    groups = by_value(found)
    assert [group.value for group in found.groups] == ["most", "perfect", "nine", ""]
    assert (
        groups["nine"].mean("top1_micro", ["a"]) == 1 and groups["nine"].estimate("top1_micro", ["a"]) is None
    )
    # No resample moves 13 hits of 13, and they are no certainty.
    perfect = groups["perfect"].estimate("top1_micro", ["a"])
    assert perfect is not None and perfect.low is not None and 0.7 < perfect.low < 0.8 and perfect.high == 1
    gap = gap_of(found, "top1_micro")
    assert (gap.worst.value, gap.best.value, gap.pairs) == ("most", "perfect", 1)
    assert gap.estimate.low is not None and gap.estimate.high is not None
    most = groups["most"].estimate("top1_micro", ["a"])
    assert most is not None and most.low is not None and most.high is not None
    assert gap.estimate.high - gap.estimate.low > most.high - most.low


def test_columns_that_make_no_subgroups_are_one_line() -> None:
    pred = answers(2100, 3, 0.6, 5)
    for values, why in (
        (dict.fromkeys(pred.items, ""), "have no value"),
        (dict(zip(pred.items, pred.items, strict=True)), "2,100 values, each on fewer than 10 test items"),
        ({item: str(i // 10) for i, item in enumerate(pred.items)}, "210 subgroups; at most 200"),
        (dict.fromkeys(pred.items[1:], "x"), "the data has no item 'item00000'"),
    ):
        with pytest.raises(BenchError, match=why):
            subgroups("multiclass", pred, values, "top1_micro")


def test_one_subgroup_has_no_gap() -> None:
    pred = answers(40, 3, 0.6, 5)
    assert (
        subgroups("multiclass", pred, dict.fromkeys(pred.items, "x"), "top1_micro").gap("top1_micro", ["a"])
        is None
    )


def test_chance_seldom_makes_a_gap_of_many_subgroups() -> None:
    found, plain = [], []
    for seed in range(60):
        pred = answers(240, 3, 0.6, seed)
        values = values_of(pred, [f"g{i}" for i in range(8)], seed)
        own = subgroups("multiclass", pred, values, "top1_micro", draws=200)
        gap = gap_of(own, "top1_micro")
        assert gap.pairs == 28 and gap.estimate.low is not None
        found.append(gap.verdict)
        assert gap.plain.low is not None
        plain.append(gap.plain.low > 0)
    assert found.count(DIFFERENT) <= 8 and sum(plain) > 20 and found.count(SAME) > 50


def test_a_real_gap_is_found() -> None:
    good, bad = answers(400, 3, 0.9, 1), answers(400, 3, 0.3, 2)
    rows = np.arange(400) % 4 == 0
    scores = np.where(rows[:, None], bad.scores, good.scores)
    pred = replace(good, scores=scores.astype(np.float32))
    values = {
        item: "bad" if row else f"good {i % 4}"
        for i, (item, row) in enumerate(zip(pred.items, rows, strict=True))
    }
    gap = gap_of(subgroups("multiclass", pred, values, "top1_micro"), "top1_micro")
    assert gap.verdict == DIFFERENT and gap.worst.value == "bad" and gap.estimate.p is not None
    assert gap.estimate.p < 0.01 and gap.estimate.low is not None and gap.estimate.low > 0.1


HOSTILE = "=HYPERLINK(1)\x1b[31m"

# The commands, on cells whose items are those of the synthetic sample.

RUNNER = CliRunner()


@cache
def sample() -> Examples:
    return open_source("kaggle-fashion", None, "tiny", Path("none"), ("articleType",))


def stored(root: Path, seeds: Sequence[int] = (0, 1), **changes: Any) -> list[str]:
    examples = sample()
    given = {"fingerprint": examples.fingerprint, "source": examples.source, **changes}
    n, ids = 100, []
    like = answers(n, 4, 0.5, 0, items=tuple(examples.items[:n]))
    for method, accuracy in (("none", 0.3), ("oversample", 0.9)):
        for seed in seeds:
            pred = answers(n, 4, accuracy, seed + 7, like, items=like.items)
            ids.append(put(root, pred, seed, method=method, **given))
    return ids


def run(root: Path, *args: object) -> Any:
    places = ("--results", str(root), "--cache", str(root / "cache"))
    return RUNNER.invoke(cli, [*map(str, args), *places], standalone_mode=False)


def rows_of(result: Any) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    found: Any = json.loads(result.output)
    return [row for table in found for row in table] if isinstance(found[0], list) else found


def test_show_has_every_metric_and_the_gaps(tmp_path: Path) -> None:
    cell = stored(tmp_path)[0]
    rows = rows_of(run(tmp_path, "show", cell[:10], "--by", "gender", "--format", "json"))
    groups = [row for row in rows if row.get("row") == "subgroup"]
    genders = sample().columns["gender"][:100]
    assert {row["subgroup"]: row["items"] for row in groups} == {
        one: genders.count(one) for one in {*genders}
    }
    assert all(name in groups[0] for name in metrics_of("multiclass"))
    small = [row for row in groups if row["items"] < 10]
    assert small and all(
        row["why"] == "fewer than 10 items" and row["top1_micro_low"] is None for row in small
    )
    gaps = {row["metric"]: row for row in rows if "gap" in row}
    assert METRICS["top1_micro"].title in gaps and gaps["top-1"]["gap"] > 0
    shown = run(tmp_path, "show", cell[:10], "--by", "gender").output
    assert "by gender" in shown and "fewer than 10 items" in shown and "because the pair is selected" in shown


def test_leaderboards_and_comparisons_by_subgroup(tmp_path: Path) -> None:
    stored(tmp_path)
    args = ("--task", "fashion", "--by", "gender", "--format", "json")
    rows = rows_of(run(tmp_path, "leaderboard", *args))
    assert [(row["rank"], row["method"]) for row in rows if row["row"] == "gap"] == [
        (1, "oversample"),
        (2, "none"),
    ]
    rows = rows_of(run(tmp_path, "compare", "lenet/oversample", "lenet/none", *args))
    men = next(row for row in rows if (row["metric"], row["subgroup"]) == ("top1_micro", "Men"))
    assert men["verdict"] == "better" and men["q"] <= 0.05 and men["items"] >= 10
    few = [row for row in rows if row["items"] < 10]
    assert few and all(row["verdict"] is None and "too small" in row["why"] for row in few)
    assert "by gender" in run(tmp_path, "compare", "lenet/oversample", "trivial", *args[:-2]).output
    results = bench.load(tmp_path, task="fashion")
    assert "worst" in results.leaderboard(by="gender").frame().columns
    assert {*results.compare("lenet/oversample", "lenet/none", by="gender").frame()["subgroup"]} >= {
        "all",
        "Men",
    }


def test_a_report_has_a_section_by_column(tmp_path: Path) -> None:
    stored(tmp_path, seeds=(0,))
    stored(tmp_path, seeds=(0,), stage="remaining", fingerprint="e" * 64)
    cells, _ = Store(tmp_path).load()
    values = ColumnValues("gender", DataLocation(None, search_path("tasks"), tmp_path / "cache", tmp_path))
    page, _ = make_page(cells, [], {"fashion": None}, {"fashion": lambda cell, item: None}, values)
    assert page is not None
    found = {part.title: part.blocks for stage in page.sections[1:3] for part in stage.sections}
    assert len(found["Subgroups by gender"]) == 2
    assert "not the data that this cell was run on" in str(found["Subgroups"][0])


def test_a_cell_whose_predictions_were_changed_is_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "bench.report.html.rendered", lambda draw, theme, formats: dict.fromkeys(formats, b"")
    )
    bad = stored(tmp_path)[-1]
    (path,) = tmp_path.glob(f"fashion/*/oversample/*-{bad[:8]}/{PREDICTIONS}")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    by = ("--task", "fashion", "--by", "gender")
    sides = ("lenet/oversample", "lenet/none")
    for args in (("leaderboard",), ("compare", *sides), ("report", "--out", tmp_path / "page")):
        done = run(tmp_path, *args, *by)
        assert done.return_value == EXIT_SOME_FAILED, done.output
        (line,) = [line for line in done.stderr.splitlines() if str(path) in line]
        assert "it was changed after it was stored" in line
    assert str(path) in str(run(tmp_path, "show", bad[:10], "--by", "gender").exception)
    results = bench.load(tmp_path, task="fashion")
    alone = bench.Results(tmp_path, [one for one in results.stored if one.id != bad])
    asks: tuple[Callable[[bench.Results], bench.ResultTable], ...] = (
        lambda of: of.leaderboard(by="gender"),
        lambda of: of.compare(*sides, by="gender"),
        lambda of: of.compare(*sides),
        lambda of: of.leaderboard(),
        lambda of: of.leaderboard(effects=True),
        lambda of: of.table(),
    )
    for ask in asks:
        capsys.readouterr()
        found = ask(results).table.rows
        assert capsys.readouterr().err.count(str(path)) == 1
        assert found == ask(alone).table.rows and not capsys.readouterr().err


TASK = ("--task", "fashion", "--by", "gender")
PUBLISHED = ("compare", "lenet/none", "seed-003-resnet50")


@pytest.mark.parametrize(
    ("args", "why"),
    [
        (("show", "CELL", "--by", "gendr"), "unknown column 'gendr'; did you mean 'gender'?"),
        (("show", "CELL", "--by", " "), "--by is empty"),
        (("show", "CELL", "--data", "x"), "--data is for --by COLUMN"),
        (("show", "CELL", "--by", "gender", "--data", "DATA"), "DATA"),
        (("leaderboard", *TASK, "--effects"), "leave out --effects"),
        (("leaderboard", "--task", "fashion", "--by", "hue"), "unknown column 'hue'"),
        (("compare", *TASK), "name both, A and B"),
        (("compare", "lenet/none", "lenet/oversample", "--all", *TASK), "neither --all"),
        ((*PUBLISHED, *TASK), "without its test items"),
        (("report", "--out", "OUT", "--by", "colour"), "unknown column 'colour'"),
    ],
)
def test_what_cannot_be_is_one_line(args: Sequence[str], why: str, tmp_path: Path) -> None:
    cell = stored(tmp_path, seeds=(0,))[0]
    names = {"CELL": cell[:10], "DATA": str(tmp_path / "nothing"), "OUT": str(tmp_path / "out")}
    result = run(tmp_path, *[names.get(arg, arg) for arg in args])
    assert isinstance(result.exception, BenchError), result.output
    text = str(result.exception)
    assert names.get(why, why) in text and "\n" not in text


def test_cells_of_other_data_are_one_line(tmp_path: Path) -> None:
    cell = stored(tmp_path, seeds=(0,), fingerprint="e" * 64)[0]
    assert "not the data that this cell was run on" in str(
        run(tmp_path, "show", cell[:10], "--by", "gender").exception
    )
    cell = stored(tmp_path / "own", seeds=(0,), source="table", fingerprint="e" * 64)[0]
    own = run(tmp_path / "own", "show", cell[:10], "--by", "gender")
    assert "name the data with --data DIR" in str(own.exception)


def test_any_column_of_a_table_without_a_card(tmp_path: Path) -> None:
    """What the run said of its data lies beside its results; values are text, whatever they hold."""
    photos, folder = shots(9), tmp_path / "pets"
    as_csv(folder, photos)
    (table,) = folder.glob("*.tsv")
    head, *lines = table.read_text().splitlines()
    moods = [HOSTILE if number % 2 else "dull" for number in range(len(lines))]
    table.write_text(
        "\n".join([f"{head}\tmood", *(f"{line}\t{mood}" for line, mood in zip(lines, moods, strict=True))])
    )
    request = Request("", folder, label=("Kind",), columns={"split": "split"})
    card, examples = open_task(request, [], tmp_path / "cache")
    pred = answers(20, 4, 0.8, 1, items=examples.items[:20])
    root = tmp_path / "results"
    place: dict[str, Any] = {
        "task": card.name,
        "source": examples.source,
        "fingerprint": examples.fingerprint,
    }
    cell = put(root, pred, **place)
    args = ("show", cell[:10], "--by", "mood", "--data", folder)
    assert "no experiment beside its results says how" in str(run(root, *args).exception)
    store_experiment(root, card.name, {"data": str(folder), "label": ["other"]})
    assert "has no column 'other'" in str(run(root, *args).exception)
    store_experiment(root, card.name, {"data": "gone", "label": ["Kind"], "columns": {"split": "split"}})
    rows = rows_of(run(root, *args, "--format", "json"))
    assert {row["subgroup"] for row in rows if row.get("row") == "subgroup"} == {*examples.columns["mood"]}
    shown = run(root, *args).output
    assert "\x1b" not in shown and "HYPERLINK" in shown
    lines = run(root, *args, "--format", "csv").output.splitlines()
    assert not any(line.split(",")[1].startswith("=") for line in lines if line.startswith("subgroup,"))


def test_error_rates_of_folders_of_people_by_a_table_of_their_attributes(tmp_path: Path) -> None:
    """As fairlearn computes them from the stored answers and the table."""
    people = [f"Ann_{number}" for number in range(30)]
    folder = people_folder(tmp_path / "data", dict.fromkeys(people, 2))
    gender = {name: "female" if number % 3 else "male" for number, name in enumerate(people)}
    lines = [f"{name},{value}" for name, value in gender.items()]
    (folder / "people.csv").write_text("\n".join(["person,gender", *lines]))
    examples = opened(folder)
    drawn = faces(240, 30, 1.0, 3)
    assert drawn.pairs is not None
    # The second photo of a same pair is the other one of the person.
    number = [int(name.rpartition(" ")[2]) for name in drawn.groups or ()]
    partner = [int(name.rpartition(" ")[2]) for name in drawn.pairs.partners]
    photos = tuple(
        (examples.items[2 * one], examples.items[2 * other + 1])
        for one, other in zip(number, partner, strict=True)
    )
    pred = replace(drawn, pairs=replace(drawn.pairs, photos=photos))
    given: dict[str, Any] = {"task": "faces", "stage": "all", "kind": "verification"}
    given |= {"source": examples.source, "fingerprint": examples.fingerprint, "method": "cosine"}
    cell = put(tmp_path / "r", pred, **given)
    command = ("show", cell[:10], "--by", "gender", "--data", folder, "--format", "json")
    rows = [row for row in rows_of(run(tmp_path / "r", *command)) if row.get("row") == "subgroup"]
    labels = [
        " / ".join(sorted({gender[people[one]], gender[people[other]]}))
        for one, other in zip(number, partner, strict=True)
    ]
    frame = MetricFrame(
        metrics={"fmr": false_positive_rate, "fnmr": false_negative_rate},
        y_true=pred.truth,
        y_pred=pred.scores[:, 0] >= drawn.pairs.cuts,
        sensitive_features=labels,
    ).by_group
    assert {row["subgroup"] for row in rows} == {"female", "male", "female / male"}
    for row in rows:
        for rate in ("fmr", "fnmr"):
            if row[rate] is None:
                assert (rate, row["subgroup"]) == ("fnmr", "female / male"), "no pair of one person"
            else:
                assert row[rate] == pytest.approx(frame[rate][row["subgroup"]])
