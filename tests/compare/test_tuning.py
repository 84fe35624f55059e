"""Tuned cells beside untuned ones: curves, by hand and by all draws, what moved, and fates of orderings."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from bench.commands.main import cli
from bench.compare.effects import effects
from bench.compare.paired_bootstrap import PairedBootstrap
from bench.compare.stored_cells import read_bootstraps
from bench.compare.tuning import (
    HOLDS,
    NEW,
    REVERSED,
    UNDECIDED,
    Budget,
    Ordering,
    expected_best,
    fate,
    orderings,
    tuned_settings,
)
from bench.compare.verdict import BETTER, SAME, WORSE
from bench.core.plotting import LIGHT, rendered
from bench.report.page import Figure
from bench.store.read import PREDICTIONS, TRIALS
from bench.store.write import Store, Stored
from tests.grids import answers, put

Scores = Sequence[float | None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.integers(1, 4), st.booleans())
def test_the_expected_best_is_the_mean_over_all_draws(scores: list[float], n: int, higher: bool) -> None:
    best = max if higher else min
    every = [best(drawn) for drawn in product(scores, repeat=n)]
    assert expected_best(scores, n, higher) == pytest.approx(np.mean(every))


def test_more_trials_never_promise_less() -> None:
    curve = [expected_best([0.3, 0.9, 0.5, 0.5], n) for n in range(1, 50)]
    assert curve == sorted(curve) and curve[0] == pytest.approx(0.55) and curve[-1] == pytest.approx(0.9)
    with pytest.raises(ValueError, match="needs a score"):
        expected_best([], 1)


def cells(root: Path) -> list[Stored]:
    return Store(root).load()[0]


def bootstrap(root: Path, *metrics: str) -> PairedBootstrap:
    (found,), problems = read_bootstraps(cells(root), metrics, draws=200)
    assert not problems
    return found


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """`none` catches up with `focal` once both have four trials; `ldam` stays behind both."""
    like = answers(400, 6, 0.5, 99)
    for tuned, accuracies in ((False, (0.3, 0.7, 0.1)), (True, (0.7, 0.7, 0.1))):
        scores: Scores = (0.5, 0.8, 0.6, None) if tuned else ()
        for (method, accuracy), seed in product(
            zip(("none", "focal", "ldam"), accuracies, strict=True), range(3)
        ):
            number = 100 * ("none", "focal", "ldam").index(method) + 10 * seed + tuned
            put(tmp_path, answers(400, 6, accuracy, number, like), seed, method=method, scores=scores)
    return tmp_path


def test_effects_are_of_cells_with_one_number_of_trials(place: Path) -> None:
    records = [stored.record for stored in cells(place)]
    found = {
        (row.method, row.budget.trials): row
        for row in effects(records, bootstrap(place, "top1_micro"), ["top1_micro"])
    }
    assert set(found) == set(product(("focal", "ldam"), (1, 4)))
    assert all(row.backbones == 1 and row.pairs == 3 for row in found.values())
    assert found["focal", 1].verdict == BETTER and found["focal", 4].verdict == SAME
    assert found["focal", 1].value > 0.2 > abs(found["focal", 4].value)


def test_an_ordering_that_was_the_lack_of_tuning_goes(place: Path) -> None:
    records = [stored.record for stored in cells(place)]
    found = {
        (one.ours, one.theirs, one.budget.trials): one
        for one in orderings(records, bootstrap(place, "top1_micro"), "top1_micro")
    }
    pairs = {pair[:2] for pair in found}
    assert len(pairs) == 3 and len(found) == 6
    fates = {frozenset(pair): fate(found[*pair, 1], found[*pair, 4]) for pair in pairs}
    assert fates == {
        frozenset({"none", "focal"}): UNDECIDED,
        frozenset({"none", "ldam"}): HOLDS,
        frozenset({"focal", "ldam"}): HOLDS,
    }


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (BETTER, BETTER, HOLDS),
        (BETTER, SAME, UNDECIDED),
        (BETTER, WORSE, REVERSED),
        (SAME, WORSE, NEW),
        (SAME, SAME, None),
        (None, SAME, None),
    ],
)
def test_what_becomes_of_an_ordering(before: str | None, after: str | None, expected: str | None) -> None:
    one, other = (
        Ordering("a", "b", Budget(trials), 0.1, verdict=verdict)
        for trials, verdict in ((1, before), (16, after))
    )
    assert fate(one, other) == expected


def test_what_tuning_chose_and_moved(place: Path) -> None:
    found, problems = tuned_settings(cells(place), [bootstrap(place, "top1_macro")], "top1_macro")
    assert not problems and [one.cell["method_text"] for one in found] == ["focal", "ldam", "none"]
    none = found[-1]
    assert (none.budget, none.seeds, none.splits) == (Budget(4), 3, 1)
    assert none.val_untuned == 0.5 and none.val == pytest.approx(0.8)
    assert none.curve[1] == pytest.approx((0.5 + 0.8 + 0.6) / 3)
    assert none.curve[2] == pytest.approx(expected_best([0.5, 0.8, 0.6], 2)) and set(none.curve) == {1, 2, 4}
    by_trials = [
        np.mean([s.record["metrics"]["test"]["top1_macro"] for s in cells(place) if _is(s, "none", count)])
        for count in (1, 4)
    ]
    assert none.moved is not None and none.moved.value == pytest.approx(by_trials[1] - by_trials[0])
    assert none.moved.low is not None and none.moved.low > 0
    assert none.gap == pytest.approx(0.8 - by_trials[1]) and none.gap_untuned == pytest.approx(
        0.5 - by_trials[0]
    )
    assert none.chosen == {seed: {"lr": 0.002, "l2": "auto"} for seed in range(3)}


def _is(stored: Stored, method: str, trials: int) -> bool:
    cell = stored.record["cell"]
    return bool(cell["method_text"] == method and cell["protocol"].get("tune", 1) == trials)


def test_nothing_moved_where_no_untuned_cell_is_stored(tmp_path: Path) -> None:
    put(tmp_path, answers(100, 5, 0.5, 1), scores=(0.4, 0.3))
    (one,), _ = tuned_settings(cells(tmp_path), [bootstrap(tmp_path, "top1_macro")], "top1_macro")
    assert one.moved is None and one.gap_untuned is None and one.gap is not None


def test_tuners_stand_side_by_side(place: Path) -> None:
    """As many trials of TPE are another budget, and have no expected best of n: they depend on each other."""
    like = answers(400, 6, 0.5, 99)
    for (method, accuracy), seed in product((("none", 0.8), ("focal", 0.5)), range(3)):
        test = answers(400, 6, accuracy, 7 + seed, like)
        put(place, test, seed, method=method, scores=(0.5, None, 0.9, 0.7), protocol={"tuner": "tpe"})
    board = bootstrap(place, "top1_micro")
    records = [stored.record for stored in cells(place)]
    budgets = {Budget(1), Budget(4), Budget(4, "tpe")}
    assert {row.budget for row in effects(records, board, ["top1_micro"])} == budgets
    assert {one.budget for one in orderings(records, board, "top1_micro")} == budgets
    found, _ = tuned_settings(cells(place), [bootstrap(place, "top1_macro")], "top1_macro")
    drawn = {(one.cell["method_text"], one.budget): bool(one.curve) for one in found}
    assert drawn["none", Budget(4)] and not drawn["none", Budget(4, "tpe")]
    none = next(one for one in found if one.budget.tuner and one.cell["method_text"] == "none")
    assert none.moved is not None and none.moved.value > 0.2
    shown = leaderboard(place, "--effects", "--format", "md").stdout
    assert "4 trials, tpe" in " ".join(shown.split())


@pytest.mark.parametrize("name", [TRIALS, PREDICTIONS])
def test_a_cell_with_a_damaged_file_is_named_and_left_out(place: Path, name: str) -> None:
    tuned = next(stored for stored in cells(place) if _is(stored, "none", 4))
    path = tuned.folder / name
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    readable, unreadable = read_bootstraps(cells(place), ["top1_macro"], draws=200)
    found, problems = tuned_settings(cells(place), readable, "top1_macro")
    assert {one.cell["method_text"]: one.seeds for one in found} == {"none": 2, "focal": 3, "ldam": 3}
    shutil.rmtree(tuned.folder)
    assert found == tuned_settings(cells(place), readable, "top1_macro")[0]
    ((line,), nothing) = (problems, unreadable) if name == TRIALS else (unreadable, problems)
    assert str(path) in line and not nothing


def leaderboard(root: Path, *args: str) -> Any:
    command = ["leaderboard", "--task", "fashion", "--results", str(root), *args]
    return CliRunner().invoke(cli, command, standalone_mode=False, catch_exceptions=False)


def test_tables_show_both_budgets_side_by_side(place: Path) -> None:
    shown = leaderboard(place, "--effects").stdout
    heading = " ".join(" ".join(shown.splitlines()[1:3]).split())
    assert "untuned" in heading and "4 trials" in " ".join(
        leaderboard(place, "--effects", "--format", "md").stdout.split()
    )
    assert "Of 3 pairs of methods 3 have a verdict untuned; with 4 trials 2 hold, 1 no longer" in shown
    rows = json.loads(leaderboard(place, "--effects", "--format", "json").stdout)
    assert {row["trials"] for row in rows} == {1, 4}
    assert "tuning in top20: the best of 4 trials was chosen on 20 validation items" in shown


def test_the_table_of_tuning(place: Path) -> None:
    shown = leaderboard(place, "--tuning").stdout
    assert "best of 4" in shown and "lr 0.002" in shown
    rows = json.loads(leaderboard(place, "--tuning", "--format", "json").stdout)
    assert {row["method"] for row in rows} == {"none", "focal", "ldam"} and all(
        row["trials"] == 4 for row in rows
    )


def test_a_table_of_tuning_without_tuned_cells_says_how_to_have_some(tmp_path: Path) -> None:
    put(tmp_path, answers(100, 5, 0.5, 1))
    assert "No measured cell was tuned: --tune N does." in leaderboard(tmp_path, "--tuning").stdout


def test_tuning_and_effects_are_two_tables(place: Path) -> None:
    from bench.core.errors import BenchError

    with pytest.raises(BenchError, match="--tuning uses the selection metric"):
        leaderboard(place, "--tuning", "--effects")


def test_a_report_has_a_section_on_tuning(place: Path) -> None:
    from bench.report.results_page import make_page

    page, _ = make_page(cells(place), [], {"fashion": None}, {"fashion": lambda stored, item: None})
    assert page is not None
    stage = next(section for section in page.sections if section.title.startswith("fashion"))
    (section,) = [one for one in stage.sections if one.title == "Tuning"]
    assert len(section.blocks) == 4
    alts = [block.alt for block in section.blocks if isinstance(block, Figure)]
    assert "of 3 methods by number of trials" in alts[0] and "Expected best" in alts[1]
    assert all(
        rendered(block.draw, LIGHT, ("png",))["png"] for block in section.blocks if isinstance(block, Figure)
    )


def test_a_report_without_tuned_cells_has_no_such_section(tmp_path: Path) -> None:
    from bench.report.results_page import make_page

    put(tmp_path, answers(100, 5, 0.5, 1))
    page, _ = make_page(cells(tmp_path), [], {"fashion": None}, {"fashion": lambda stored, item: None})
    assert page is not None
    assert all(one.title != "Tuning" for section in page.sections for one in section.sections)


def test_a_report_on_tpe_alone_has_no_curve_of_trials(tmp_path: Path) -> None:
    from bench.report.results_page import make_page

    put(tmp_path, answers(100, 5, 0.5, 1), scores=(0.4, None, 0.5), protocol={"tuner": "tpe"})
    page, _ = make_page(cells(tmp_path), [], {"fashion": None}, {"fashion": lambda stored, item: None})
    assert page is not None
    stage = next(section for section in page.sections if section.title.startswith("fashion"))
    (section,) = [one for one in stage.sections if one.title == "Tuning"]
    (figure,) = [block for block in section.blocks if isinstance(block, Figure)]
    assert "of 1 methods by number of trials: none, tpe " in figure.alt
