"""Results of several machines in one folder: nothing overwritten, nothing lost, what is wrong named."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.commands.main import cli
from bench.core.errors import BenchError, StoreError
from bench.core.predictions import Predictions
from bench.core.sealed_json import sealed
from bench.store.answers import compare_parts
from bench.store.experiment_file import experiment_files, read_experiment, store_experiment
from bench.store.merge import DAMAGED, EQUAL, LEFT, NEW, OTHER, answers, merge
from bench.store.origin import ORIGIN, origin_of
from bench.store.places import answer_folder, answer_number, first_answer_folder
from bench.store.read import HISTORY, MODEL, NEWER_FORMAT, OLDER_FORMAT, PREDICTIONS, RESULT
from bench.store.write import SCRATCH, Store, Stored
from tests.grids import answers as some_answers
from tests.grids import attributes, become, faces, grid, put, reseal

LIKE = some_answers(60, 6, 0.5, 99)
FIRST, SECOND = (some_answers(60, 6, 0.7, seed, LIKE) for seed in (1, 2))


def bench(*args: object) -> Any:
    """Run a command in this process."""
    return CliRunner().invoke(cli, [str(arg) for arg in args], standalone_mode=False)


def files(root: Path) -> dict[str, bytes]:
    """Return all files of a results folder but locks and what says where cells are from."""
    return {
        str(path.relative_to(root)): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != ORIGIN and path.suffix != ".lock"
    }


def load(root: Path) -> list[Stored]:
    cells, problems = Store(root).load()
    assert not problems
    return cells


def the_cell(root: Path) -> Stored:
    (stored,) = load(root)
    return stored


def counts(into: Path, *sources: Path) -> list[dict[str, int]]:
    """Merge without a problem; return what became of the cells of each source."""
    done = merge(sources, into)
    assert not any(done.problems.values())
    return [dict(found) for found in done.counts.values()]


# What is one, what is another answer


def test_parts_of_a_grid_are_the_grid(tmp_path: Path) -> None:
    methods = {"none": 0.5, "focal": 0.8}
    grid(tmp_path / "whole", methods, seeds=(0, 1, 2), n=60)
    for seed in (0, 1, 2):
        grid(tmp_path / f"{seed}", methods, seeds=(seed,), n=60)
    parts = [tmp_path / f"{seed}" for seed in (0, 1, 2)]
    assert counts(tmp_path / "into", *parts) == [{NEW: 2}] * 3
    assert files(tmp_path / "into") == files(tmp_path / "whole")
    assert not list((tmp_path / "into").rglob(f"{SCRATCH}*"))
    assert counts(tmp_path / "into", *parts, tmp_path / "whole") == [*[{EQUAL: 2}] * 3, {EQUAL: 6}]
    assert files(tmp_path / "into") == files(tmp_path / "whole")


def test_a_cell_keeps_where_it_is_from_through_several_merges(tmp_path: Path) -> None:
    put(tmp_path / "a", FIRST)
    merge([tmp_path / "a"], tmp_path / "b")
    merge([tmp_path / "b"], tmp_path / "c")
    assert origin_of(the_cell(tmp_path / "c").folder) == str(tmp_path / "a")
    assert origin_of(the_cell(tmp_path / "a").folder) is None


def test_other_answers_are_kept_beside_the_first_and_do_not_count(tmp_path: Path) -> None:
    a, b, into = tmp_path / "a", tmp_path / "b", tmp_path / "into"
    put(a, FIRST)
    put(b, SECOND)
    third = some_answers(60, 6, 0.7, 3, LIKE)
    put(tmp_path / "c", third)
    assert counts(into, a, b, tmp_path / "c") == [{NEW: 1}, {OTHER: 1}, {OTHER: 1}]
    before = files(into)
    assert counts(into, tmp_path / "c", b, a) == [{OTHER: 1}, {OTHER: 1}, {EQUAL: 1}]
    assert files(into) == before
    first = the_cell(into)
    further, problems = Store(into).further()
    assert not problems
    assert [first.name, *(one.name for one in further)] == [
        first.id[:8],
        f"{first.id[:8]}.2",
        f"{first.id[:8]}.3",
    ]
    for stored, expected in zip((first, *further), (FIRST, SECOND, third), strict=True):
        np.testing.assert_array_equal(stored.predictions().scores, expected.scores)
    found = answers(first.folder)
    assert [answer.origin for answer in found] == [str(a), str(b), str(tmp_path / "c")]
    assert found[0].difference is None
    assert found[1].difference == compare_parts(the_cell(a), the_cell(b))


def test_an_answer_is_kept_once_whatever_became_of_the_others(tmp_path: Path) -> None:
    third = some_answers(60, 6, 0.7, 3, LIKE)
    a, b, c = (tmp_path / name for name in "abc")
    for root, test in ((a, FIRST), (b, SECOND), (c, third)):
        put(root, test)
    into = tmp_path / "into"
    merge([a, b, c], into)
    first = the_cell(into).folder
    unsealed(first)
    shutil.rmtree(answer_folder(first, 2))
    done = merge([c], into)
    (line,) = done.problems[c]
    assert (
        done.counts[c] == {OTHER: 1} and "changed after" in line and "replaced by a measured one" not in line
    )
    done = merge([b], into)
    assert done.counts[b] == {NEW: 1} and "replaced by a measured one" in done.problems[b][0]
    assert counts(into, a) == [{OTHER: 1}]
    assert [one.stored.name.partition(".")[2] for one in answers(first)] == ["", "3", "4"]
    assert [one.stored.predictions().scores.tobytes() for one in answers(first)] == [
        test.scores.tobytes() for test in (SECOND, third, FIRST)
    ]


def test_further_answers_go_on_into_the_next_folder(tmp_path: Path) -> None:
    for name, test in (("a", FIRST), ("b", SECOND)):
        put(tmp_path / name, test)
    merge([tmp_path / "a", tmp_path / "b"], tmp_path / "both")
    assert counts(tmp_path / "next", tmp_path / "both") == [{NEW: 1, OTHER: 1}]
    assert files(tmp_path / "next") == files(tmp_path / "both")
    assert [one.origin for one in answers(the_cell(tmp_path / "next").folder)] == [
        str(tmp_path / "a"),
        str(tmp_path / "b"),
    ]


@pytest.mark.parametrize(
    ("kind", "one"),
    [
        ("multiclass", FIRST),
        ("multilabel", attributes(40, 3, 1.0, 1)),
        ("verification", faces(40, 6, 1.0, 1)),
    ],
)
def test_one_bit_of_one_score_is_another_answer_of_any_kind(
    tmp_path: Path, kind: str, one: Predictions
) -> None:
    scores = one.scores.copy()
    scores[3, 0] = np.nextafter(scores[3, 0], np.float32(2))
    put(tmp_path / "a", one, kind=kind)
    put(tmp_path / "b", one.__class__(**{**vars(one), "scores": scores}), kind=kind)
    assert counts(tmp_path / "into", tmp_path / "a", tmp_path / "b") == [{NEW: 1}, {OTHER: 1}]


def test_the_same_predictions_in_another_file_are_the_same(tmp_path: Path) -> None:
    """Another version of pyarrow lays a table out otherwise; other times and machines are no answer."""
    import pyarrow.parquet as pq

    put(tmp_path / "a", FIRST)
    put(tmp_path / "b", FIRST, timings={"seconds": 99.0})
    path = the_cell(tmp_path / "b").folder / PREDICTIONS
    pq.write_table(pq.read_table(path), path, compression="gzip")
    reseal(path.parent, lambda record: record["environment"].update(processor="another"))
    assert counts(tmp_path / "into", tmp_path / "a", tmp_path / "b") == [{NEW: 1}, {EQUAL: 1}]
    assert files(tmp_path / "into") == files(tmp_path / "a")


def test_of_two_equal_cells_the_one_that_keeps_its_model_stays(tmp_path: Path) -> None:
    for name in ("a", "b"):
        put(tmp_path / name, FIRST)
    folder = the_cell(tmp_path / "b").folder
    (folder / MODEL).write_bytes(b"weights")
    reseal(folder)
    for order in (("a", "b"), ("b", "a")):
        into = tmp_path / "-".join(order)
        assert counts(into, *(tmp_path / name for name in order)) == [{NEW: 1}, {EQUAL: 1}]
        assert the_cell(into).read(MODEL) == b"weights"


@pytest.mark.parametrize("order", [("ok", "failed"), ("failed", "ok")])
def test_a_failed_cell_never_replaces_a_measured_one(tmp_path: Path, order: tuple[str, str]) -> None:
    put(tmp_path / "ok", FIRST)
    put(tmp_path / "failed", FIRST, status="failed", reason="loss became NaN")
    found = counts(tmp_path / "into", *(tmp_path / name for name in order))
    assert found == [{NEW: 1}, {LEFT: 1} if order[0] == "ok" else {NEW: 1}]
    assert files(tmp_path / "into") == files(tmp_path / "ok")
    assert not Store(tmp_path / "into").further_folders()
    other = tmp_path / "other"
    assert counts(other, tmp_path / "failed", tmp_path / "failed") == [{NEW: 1}]
    assert counts(other, tmp_path / "failed") == [{EQUAL: 1}]
    assert the_cell(other).record["reason"] == "loss became NaN"


# What cannot be used


def unsealed(folder: Path) -> Path:
    path = folder / RESULT
    path.write_bytes(path.read_bytes().replace(b'"ok"', b'"OK"'))
    return path


def edited(name: str) -> Callable[[Path], Path]:
    def edit(folder: Path) -> Path:
        path = folder / name
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
        return path

    return edit


def no_predictions(folder: Path) -> Path:
    """Digests fit what is no table."""
    path = folder / PREDICTIONS
    path.write_bytes(b"PAR1 nothing")
    reseal(folder)
    return path


def gone(folder: Path) -> Path:
    (folder / RESULT).unlink()
    return folder / RESULT


def misplaced(folder: Path) -> Path:
    return folder.rename(folder.with_name(f"{folder.name}-copy")) / RESULT


def linked_file(folder: Path) -> Path:
    path = folder / PREDICTIONS
    path.rename(folder.parents[4] / "elsewhere")
    path.symlink_to(folder.parents[4] / "elsewhere")
    return path


def linked_folder(folder: Path) -> Path:
    shutil.move(folder.parent, folder.parents[4] / "elsewhere")
    folder.parent.symlink_to(folder.parents[4] / "elsewhere")
    return folder.parent


def pipe(folder: Path) -> Path:
    (folder / RESULT).unlink()
    os.mkfifo(folder / RESULT)
    return folder / RESULT


def hidden(folder: Path) -> Path:
    task = folder.parents[2].with_name(".locks")
    folder.parents[2].rename(task)
    become(task.joinpath(*folder.parts[-3:]), lambda record: record["cell"].update(task=".locks"))
    return task


def escaping(folder: Path) -> Path:
    """A task that is a way up; no folder of such a name can be read as its cell's."""
    reseal(folder, lambda record: record["cell"].update(task="../../x"))
    return folder / RESULT


WRONG: dict[Callable[[Path], Path], str] = {
    unsealed: "changed after it was stored",
    edited(PREDICTIONS): "changed after it was stored",
    edited(HISTORY): "changed after it was stored",
    no_predictions: "cannot be read",
    gone: "is missing",
    misplaced: "another cell",
    linked_file: "is a link",
    linked_folder: "is a link",
    pipe: "not a file",
    hidden: "is hidden",
    escaping: "not a result of messybench",
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
def test_what_cannot_be_used_is_named_and_the_rest_is_taken(
    tmp_path: Path, wrong: Callable[[Path], Path]
) -> None:
    put(tmp_path / "bad", FIRST)
    put(tmp_path / "good", FIRST)
    path = wrong(the_cell(tmp_path / "bad").folder)
    done = merge([tmp_path / "bad", tmp_path / "good"], tmp_path / "into")
    assert [*done.counts.values()] == [Counter({DAMAGED: 1}), Counter({NEW: 1})]
    (line,) = done.problems[tmp_path / "bad"]
    assert str(path) in line and WRONG[wrong] in line and "\n" not in line
    assert files(tmp_path / "into") == files(tmp_path / "good")


@pytest.mark.parametrize("wrong", [unsealed, edited(PREDICTIONS), no_predictions, gone])
def test_a_damaged_cell_that_is_there_gives_way_to_a_measured_one_alone(
    tmp_path: Path, wrong: Callable[[Path], Path]
) -> None:
    put(tmp_path / "into", FIRST)
    put(tmp_path / "good", SECOND)
    put(tmp_path / "failed", FIRST, status="failed", reason="no memory")
    path = wrong(the_cell(tmp_path / "into").folder)
    before = files(tmp_path / "into")
    done = merge([tmp_path / "failed"], tmp_path / "into")
    assert done.counts[tmp_path / "failed"] == {LEFT: 1}
    assert files(tmp_path / "into") == before
    done = merge([tmp_path / "good"], tmp_path / "into")
    (line,) = done.problems[tmp_path / "good"]
    assert (
        done.counts[tmp_path / "good"] == {NEW: 1}
        and str(path) in line
        and "replaced by a measured one" in line
    )
    assert files(tmp_path / "into") == files(tmp_path / "good")


def version(folder: Path, number: int) -> None:
    (folder / RESULT).write_text(json.dumps({"format_version": number}))


def test_results_of_another_format_are_one_line(tmp_path: Path) -> None:
    for name in ("old", "new", "mixed"):
        grid(tmp_path / name, {"none": 0.5}, seeds=(0, 1, 2), n=60)
    for name, number in (("old", 1), ("new", 99)):
        for stored in load(tmp_path / name):
            version(stored.folder, number)
    for number, stored in enumerate(load(tmp_path / "mixed"), 1):
        version(stored.folder, number)
    done = merge([tmp_path / name for name in ("old", "new", "mixed")], tmp_path / "into")
    (old,), (new,), mixed = done.problems.values()
    assert str(tmp_path / "old") in old and f"and 2 more: {OLDER_FORMAT} (format 1" in old
    assert str(tmp_path / "new") in new and f"and 2 more: {NEWER_FORMAT} (format 99)" in new
    assert len(mixed) == 3 and " more: " not in " ".join(mixed)
    assert not load(tmp_path / "into")


def test_a_cell_of_a_newer_version_stays(tmp_path: Path) -> None:
    put(tmp_path / "into", FIRST)
    put(tmp_path / "a", SECOND)
    version(the_cell(tmp_path / "into").folder, 99)
    before = files(tmp_path / "into")
    done = merge([tmp_path / "a"], tmp_path / "into")
    assert done.counts[tmp_path / "a"] == {LEFT: 1} and files(tmp_path / "into") == before
    assert "newer messybench" in done.problems[tmp_path / "a"][0]


@pytest.mark.parametrize(
    "content",
    [b"", b"[]", b"\xff", b'{"from": 3}', sealed({"from": ["a"]}), sealed({"to": "a"}), b"[" * 9999],
)
def test_an_origin_of_any_content_is_none(tmp_path: Path, content: bytes) -> None:
    put(tmp_path / "a", FIRST)
    (the_cell(tmp_path / "a").folder / ORIGIN).write_bytes(content)
    merge([tmp_path / "a"], tmp_path / "into")
    assert origin_of(the_cell(tmp_path / "into").folder) == str(tmp_path / "a")


# Folders that cannot be merged


@pytest.mark.parametrize(
    ("sources", "into", "says"),
    [
        (["a"], "a", "is one of the folders to merge"),
        (["a", "link"], "a", "is one of the folders to merge"),
        (["link"], "a", "is one of the folders to merge"),
        (["a"], "a/x", "overlaps"),
        (["a"], ".", "overlaps"),
        (["a", "nosuch"], "into", "does not exist"),
        (["file"], "into", "is a file"),
        (["a"], "file", "is a file"),
        (["a"], " ", "--into is empty"),
        (["a"], "file/x", "a part of its path is a file|Not a directory"),
    ],
)
def test_folders_that_cannot_be_merged_are_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sources: list[str], into: str, says: str
) -> None:
    put(tmp_path / "a", FIRST)
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    before = files(tmp_path)
    error = bench("merge", *sources, "--into", into).exception
    assert isinstance(error, BenchError) and "\n" not in str(error), error
    assert any(part in str(error) for part in says.split("|")) and "--results" not in str(error)
    assert files(tmp_path) == before


def test_a_folder_named_twice_counts_once(tmp_path: Path) -> None:
    put(tmp_path / "a", FIRST)
    (tmp_path / "link").symlink_to("a")
    assert counts(tmp_path / "into", tmp_path / "a", tmp_path / "link", tmp_path / "a") == [{NEW: 1}]


def test_a_source_may_be_read_only_and_is_left_as_it_was(tmp_path: Path) -> None:
    put(tmp_path / "a", FIRST)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")}
    merge([tmp_path / "a"], tmp_path / "into")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "a").rglob("*")} == before


# Kills, and two merges at once


def in_a_fork(do: Callable[[], object]) -> int:
    """Run a function in a process of its own; return how that ended."""
    child = os.fork()
    if not child:
        try:
            do()
        except BaseException:
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize(
    "step", ["mkdir", "rename", *(pytest.param(step, marks=pytest.mark.slow) for step in ("fsync", "open"))]
)
def test_a_merge_that_is_killed_anywhere_tears_nothing_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Kills itself before its first, second, third, ... call of a step, until there are no more."""
    put(tmp_path / "a", FIRST)
    put(tmp_path / "a", FIRST, 1)
    put(tmp_path / "b", SECOND)
    put(tmp_path / "failed", FIRST, 1, status="failed", reason="x")
    sources = [tmp_path / name for name in ("failed", "a", "b")]
    merge(sources, tmp_path / "whole")
    wanted, real = files(tmp_path / "whole"), getattr(os, step)
    kills = 0
    for allowed in range(200):
        into, calls = tmp_path / f"into-{allowed}", 0

        def count(*args: Any, into: Path = into, allowed: int = allowed, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > allowed:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        def killed(into: Path = into, count: Any = count) -> None:
            setattr(os, step, count)
            merge(sources, into)

        ended = in_a_fork(killed)
        load(into)
        assert not Store(into).further()[1]
        if ended == 0:
            break
        assert ended == -signal.SIGKILL
        kills += 1
        merge(sources, into)
        assert files(into) == wanted
        assert not list(into.rglob(f"{SCRATCH}*"))
    assert ended == 0 and kills > 2


def merged_in_a_process(sources: list[Path], into: Path, start: Any) -> None:
    start.wait()
    merge(sources, into)


def test_merges_at_once_keep_every_answer_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each waits between finding a place free and writing there, so that all would find the same one."""
    write = Store.write

    def late(store: Store, *rest: Any) -> None:
        time.sleep(0.1)
        write(store, *rest)

    different = [some_answers(60, 6, 0.7, seed, LIKE) for seed in range(3)]
    for number, test in enumerate(different):
        put(tmp_path / f"{number}", test)
        put(tmp_path / f"{number}", LIKE, 7)
    context = multiprocessing.get_context("fork")
    start, into = context.Event(), tmp_path / "into"
    orders = ([0, 1, 2], [2, 1, 0], [1, 0, 2], [0])
    running = [
        context.Process(
            target=merged_in_a_process, args=([tmp_path / f"{number}" for number in order], into, start)
        )
        for order in orders
    ]
    with monkeypatch.context() as patch:
        patch.setattr(Store, "write", late)
        for one in running:
            one.start()
        start.set()
        for one in running:
            one.join()
    assert [one.exitcode for one in running] == [0] * len(orders)
    assert len(load(into)) == 2
    (first,) = [stored for stored in load(into) if stored.record["cell"]["seed"] == 0]
    found = [answer.stored.predictions().scores.tobytes() for answer in answers(first.folder)]
    assert sorted(found) == sorted(test.scores.tobytes() for test in different)
    assert not list(into.rglob(f"{SCRATCH}*"))


def test_a_merge_waits_for_a_run(tmp_path: Path) -> None:
    put(tmp_path / "a", FIRST)
    into = Store(tmp_path / "into")
    context = multiprocessing.get_context("fork")
    waits = context.Event()
    other = context.Process(target=merge, args=([tmp_path / "a"], into.root, waits.set))
    with into.lock("fashion"):
        other.start()
        assert waits.wait(600) and not into.folders()
    other.join(600)
    assert other.exitcode == 0 and len(load(into.root)) == 1


def test_a_full_disk_is_one_line_and_tears_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path / "a", FIRST)

    def refuse(*_: object) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patch:
        patch.setattr("bench.store.merge._fill", refuse)
        with pytest.raises(StoreError, match="no space is left; choose another with --into DIR"):
            merge([tmp_path / "a"], tmp_path / "into")
    assert not Store(tmp_path / "into").folders() and not list((tmp_path / "into").rglob(f"{SCRATCH}*"))


# Any merges


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder for every (seed, answer); answer 0 is a failure."""
    root = tmp_path_factory.mktemp("stock")
    for seed, answer in product(range(3), range(4)):
        status = "ok" if answer else "failed"
        test = some_answers(20, 3, 0.7, answer)
        put(root / f"{seed}-{answer}", test, seed, status=status, reason=None if answer else "x")
    return root


CELL = st.tuples(st.integers(0, 2), st.integers(0, 3))
FOLDER = st.lists(CELL, max_size=3, unique_by=lambda one: one[0])


@settings(max_examples=25)
@given(st.lists(FOLDER, min_size=1, max_size=4), st.randoms(use_true_random=False))
def test_any_folders_in_any_order_end_with_the_same_answers(
    stock: Path, folders: list[list[tuple[int, int]]], rng: random.Random
) -> None:
    with TemporaryDirectory() as name:
        root = Path(name)
        for number, cells in enumerate(folders):
            (root / f"{number}").mkdir()
            for seed, answer in cells:
                shutil.copytree(stock / f"{seed}-{answer}", root / f"{number}", dirs_exist_ok=True)
        sources = [root / f"{number}" for number in range(len(folders))]
        merge(sources, root / "one")
        for source in rng.sample(sources, len(sources)):
            merge([source], root / "other")
        wanted = {
            (seed, some_answers(20, 3, 0.7, answer).scores.tobytes())
            for cells in folders
            for seed, answer in cells
            if answer
        }
        for into in (root / "one", root / "other"):
            stored = [*load(into), *Store(into).further()[0]]
            assert {one.record["cell"]["seed"] for one in stored} == {
                seed for cells in folders for seed, _ in cells
            }
            measured = [
                (one.record["cell"]["seed"], one.predictions().scores.tobytes()) for one in stored if one.ok
            ]
            assert sorted(measured) == sorted(wanted)


# The command, and those that read what it made


@pytest.fixture
def both(tmp_path: Path) -> Path:
    """A folder with a cell that has two answers, and one that has one."""
    for name, test in (("a", FIRST), ("b", SECOND)):
        put(tmp_path / name, test)
        put(tmp_path / name, LIKE, 1)
    done = bench("merge", tmp_path / "a", tmp_path / "b", "--into", tmp_path / "into")
    assert done.exception is None and done.return_value == 3
    return tmp_path / "into"


def test_the_command_says_what_came_from_where_and_shows_both_answers(both: Path, tmp_path: Path) -> None:
    id8 = next(stored.id[:8] for stored in load(both) if stored.record["cell"]["seed"] == 0)
    done = bench("merge", tmp_path / "b", "--into", both, "--format", "json")
    table, beside = json.loads(done.stdout)
    assert done.return_value == 3 and done.stderr == ""
    assert table == [
        {"from": str(tmp_path / "b"), "cells": 2, NEW: 0, EQUAL: 1, OTHER: 1, LEFT: 0, DAMAGED: 0}
    ]
    assert [row["cell"] for row in beside] == [id8, f"{id8}.2"]
    assert [row["from"] for row in beside] == [str(tmp_path / "a"), str(tmp_path / "b")]
    assert beside[0]["top1_micro"] != beside[1]["top1_micro"]
    assert beside[0]["largest"] is None and beside[1]["largest"] > 0 and beside[1]["items"] == 67


def test_the_exit_code_says_what_became_of_it(tmp_path: Path) -> None:
    put(tmp_path / "a", FIRST)
    (tmp_path / "empty").mkdir()
    done = bench("merge", tmp_path / "a", tmp_path / "empty", "--into", tmp_path / "into")
    assert done.return_value == 0 and done.stderr == f"bench: {tmp_path / 'empty'}: has no results\n"
    assert bench("merge", tmp_path / "empty", "--into", tmp_path / "none").return_value == 5
    assert not (tmp_path / "none").exists()
    path = unsealed(the_cell(tmp_path / "a").folder)
    done = bench("merge", tmp_path / "a", "--into", tmp_path / "into")
    assert done.return_value == 4 and done.stderr.startswith(f"bench: {path}: changed after")
    assert done.stderr.count("\n") == 1


def of_processor(name: str, record: dict[str, Any]) -> None:
    record["environment"]["processor"] = name


def test_what_is_printed_fits_into_100_columns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    deep = tmp_path / ("folder" * 20) / ("shard" * 10)
    method = "sample_weight_by_inverse_root_frequency_of_a_long_name"
    for name, test in (("a", FIRST), ("b", SECOND)):
        put(deep / name, test, method=method, backbone="efficientnetv2_b3+mobilenetv2_100")
        reseal(the_cell(deep / name).folder, partial(of_processor, f"{name} processor" * 9))
    done = bench("merge", deep / "a", deep / "b", "--into", deep / "into")
    assert done.return_value == 3
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "shard/a" in done.stdout and "efficientnetv2" in done.stdout


def test_every_command_counts_the_first_answer_and_says_so(both: Path, tmp_path: Path) -> None:
    (first,) = [stored for stored in load(both) if stored.record["cell"]["seed"] == 0]
    names = f"{first.name} ({tmp_path / 'a'}), not {first.name}.2 ({tmp_path / 'b'})"
    for command in (
        ("leaderboard", "--task", "fashion"),
        ("compare", "--task", "fashion"),
        ("export", "--out", tmp_path / "all.csv"),
    ):
        mine = bench(*command, "--results", both)
        alone = bench(*command, "--results", tmp_path / "a")
        assert mine.return_value == alone.return_value == 0, (mine, alone)
        assert mine.stdout == alone.stdout
        assert mine.stderr.splitlines()[0] == (
            f"bench: the first answer of a cell counts: {names}; `bench results` lists all"
        )
        assert "first answer" not in alone.stderr
    rows = json.loads(bench("results", "--results", both, "--format", "json").stdout)
    assert [row["cell"] for row in rows if row["seed"] == 0] == [first.name, f"{first.name}.2"]
    assert len({row["top1_micro"] for row in rows if row["seed"] == 0}) == 2


def test_a_further_answer_has_a_name(both: Path, tmp_path: Path) -> None:
    (first,) = [stored for stored in load(both) if stored.record["cell"]["seed"] == 0]
    second = f"{first.name}.2"
    place = answer_folder(first.folder, 2)
    for text in (second, place):
        done = bench("show", text, "--results", both, "--format", "json")
        assert done.return_value == 0, done
        assert json.dumps(Store(both).further()[0][0].record["metrics"]["test"]["top1_micro"]) in done.stdout
        [facts, *_] = json.loads(done.stdout)
        assert {row["name"]: row["value"] for row in facts}["merged from"] == str(tmp_path / "b")
        assert bench("show", text, "--results", both).stdout.startswith(f"Cell {second}\n")
    error = bench("show", f"{first.name}.3", "--results", both).exception
    assert isinstance(error, BenchError) and f"{first.name}.3" in str(error)
    sides = bench("compare", "--task", "fashion", first.name, second, "--results", both, "--format", "json")
    row = next(row for row in json.loads(sides.stdout) if row["what"] == "micro top-1")
    assert (row["ours"], row["theirs"]) == tuple(
        stored.record["metrics"]["test"]["top1_micro"] for stored in (first, Store(both).further()[0][0])
    )
    path = edited(PREDICTIONS)(place)
    done = bench("verify", "--results", both)
    assert done.return_value == 4 and str(path) in done.stderr


def test_a_further_answer_without_a_first_is_named_and_may_take_its_place(both: Path, tmp_path: Path) -> None:
    (first,) = [stored for stored in load(both) if stored.record["cell"]["seed"] == 0]
    shutil.rmtree(first.folder)
    done = bench("leaderboard", "--task", "fashion", "--results", both)
    assert f"{first.name} (missing), not {first.name}.2 ({tmp_path / 'b'})" in done.stderr
    answer_folder(first.folder, 2).rename(first.folder)
    done = bench("results", "--results", both, "--format", "json")
    assert done.return_value == 0 and not done.stderr and len(json.loads(done.stdout)) == 2


def test_names_of_answers() -> None:
    first = Path("results/fashion/lenet/none/s0-3fa9c1d2")
    places = [answer_folder(first, number) for number in (1, 2, 10, 99)]
    assert [answer_number(place) for place in places] == [1, 2, 10, 99]
    assert {first_answer_folder(place) for place in places} == {first}
    for name in ("s0-3fa9c1d2.1", "s0-3fa9c1d2.0", "s0-3fa9c1d2.02", "s0-3fa9c1d2.x", "s0-3fa9c1d2.2-copy"):
        assert answer_number(first.with_name(name)) == 1


def test_experiment_files_come_along_once(tmp_path: Path) -> None:
    for place, seed in (("a", 0), ("b", 1), ("c", 2)):
        put(tmp_path / place, some_answers(30, 4, 0.5, seed), seed)
        store_experiment(tmp_path / place, "fashion", {"methods": ["none"], "seeds": [min(seed, 1)]})
    damaged, outside = tmp_path / "c/fashion/experiment-00000000.toml", tmp_path / "outside.toml"
    damaged.write_text("methods = [")
    outside.write_text('methods = ["none"]')
    (tmp_path / "c/fashion/experiment-11111111.toml").symlink_to(outside)
    done = merge([tmp_path / place for place in "abc"], tmp_path / "all")
    there = experiment_files(tmp_path / "all" / "fashion")
    assert sorted(read_experiment(path)["seeds"] for path in there) == [[0], [1]]
    assert {path.name for path in there} == {
        path.name for place in "ab" for path in experiment_files(tmp_path / place / "fashion")
    }
    problems = done.problems[tmp_path / "c"]
    assert len(problems) == 2 and str(damaged) in problems[0] and "is a link" in problems[1]
    assert not done.problems[tmp_path / "a"] and done.counts[tmp_path / "c"] == {NEW: 1}
