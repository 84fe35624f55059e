"""Shards of a plan: together they are the plan, whatever its order, and a net runs in as few as can be."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.backbones.names import parts_of
from bench.core.cell import Cell, DataId, MethodSpec, Step
from bench.core.errors import BenchError
from bench.core.paths import search_path
from bench.data.task_card import load_card
from bench.runs.open_task import open_task
from bench.runs.plan import Job, Plan, Request, make_plan
from bench.runs.shards import Shard, divide, parse_shard, shard_of

NAMES = ("lenet", "mobilenet_025", "mobilenet_025+tfidf", "hog", "mobilenetv2_035+hog", "tfidf")
METHODS = ("none", "focal", "oversample", "gce")
CARD = load_card("fashion", search_path("tasks"))


def cell(backbone: str, method: str, seed: int, stage: str, regime: str) -> Cell:
    steps = () if method == "none" else (Step(method),)
    data = DataId("drawn-tiny", "f" * 64)
    spec = MethodSpec(steps, method)
    return Cell("fashion", 1, "multiclass", stage, regime, backbone, "imagenet", spec, seed, (), data)


def job(
    backbone: str, methods: list[str], seeds: list[int], stages: list[str], regime: str = "frozen"
) -> Job:
    cells = tuple(
        cell(backbone, method, seed, stage, regime)
        for stage in stages
        for method in methods
        for seed in seeds
    )
    return Job(parts_of(backbone), regime, "imagenet", cells)


def subsets(values: tuple[str, ...]) -> st.SearchStrategy[list[str]]:
    return st.lists(st.sampled_from(values), min_size=1, max_size=len(values), unique=True)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Draw a plan whose jobs have methods of their own, as after combinations that cannot run."""
    seeds = draw(st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True))
    stages = draw(subsets(("top20", "remaining")))
    regime = draw(st.sampled_from(("frozen", "finetune")))
    jobs = [job(name, draw(subsets(METHODS)), seeds, stages, regime) for name in draw(subsets(NAMES))]
    return Plan(CARD, tuple(jobs), ())


def shards(plan: Plan, count: int) -> list[Plan]:
    return [shard_of(plan, Shard(number, count)) for number in range(1, count + 1)]


def ids(plan: Plan) -> set[str]:
    return {cell.id for cell in plan.cells}


@given(plans(), st.integers(1, 20))
def test_every_cell_is_in_exactly_one_shard_and_none_is_empty_without_need(plan: Plan, count: int) -> None:
    parts = shards(plan, count)
    assert sum(len(part.cells) for part in parts) == len(plan.cells)
    assert set().union(*map(ids, parts)) == ids(plan)
    assert all(job.cells for part in parts for job in part.jobs)
    units = {unit(one): set[int]() for one in plan.cells}
    for number, part in enumerate(parts):
        for one in part.cells:
            units[unit(one)].add(number)
    assert all(len(numbers) == 1 for numbers in units.values()), "stages build on each other"
    filled = min(count, len(units))
    assert [bool(part.cells) for part in parts] == [True] * filled + [False] * (count - filled)


def unit(one: Cell) -> tuple[str, str, int]:
    """Return what the stages of a cell share."""
    return one.backbone, one.method.text, one.seed


@given(plans(), st.integers(1, 20), st.randoms(use_true_random=False))
def test_the_order_in_which_a_grid_is_written_changes_no_shard(
    plan: Plan, count: int, rng: random.Random
) -> None:
    jobs = [replace(job, cells=tuple(rng.sample(job.cells, len(job.cells)))) for job in plan.jobs]
    other = replace(plan, jobs=tuple(rng.sample(jobs, len(jobs))))
    assert list(map(ids, shards(other, count))) == list(map(ids, shards(plan, count)))


NETS = {name: {part for part in name.split("+") if part.startswith(("lenet", "mobile"))} for name in NAMES}


@given(plans(), st.integers(1, 20))
def test_a_net_runs_over_the_images_on_as_few_machines_as_can_be(plan: Plan, count: int) -> None:
    passes = [
        {net for job in part.jobs for net in NETS[job.backbone] or {job.backbone}}
        for part in shards(plan, count)
    ]
    alone = {net for job in plan.jobs for net in NETS[job.backbone] or {job.backbone}}
    if plan.jobs[0].regime != "frozen":
        return
    total = sum(map(len, passes))
    if count <= len(alone):
        # As on one machine.
        assert total == len(alone)
    else:
        # A machine that does something runs one of them.
        assert all(len(nets) <= 1 for nets in passes)


def test_shards_are_about_as_large() -> None:
    jobs = [job(name, list(METHODS), [0, 1, 2], ["top20"]) for name in ("lenet", "mobilenet_025")]
    assert [len(part) for part in divide(jobs, 8)] == [3] * 8
    assert [len(part) for part in divide(jobs, 5)] == [4, 4, 4, 6, 6]
    assert [len(part) for part in divide(jobs, 2)] == [12, 12]
    uneven = [job("lenet", list(METHODS), [0, 1, 2], ["top20"]), job("hog", ["none"], [0, 1, 2], ["top20"])]
    assert [len(part) for part in divide(uneven, 5)] == [3] * 5


def test_seeds_are_divided_before_methods() -> None:
    found = divide([job("lenet", list(METHODS), [0, 1, 2], ["top20"])], 3)
    assert [{one.seed for one in part} for part in found] == [{0}, {1}, {2}]


def test_a_plan_of_the_command_is_divided_as_it_is(tmp_path: Path) -> None:
    request = Request(
        "fashion", sample="tiny", backbones=("lenet,mobilenet_025",), methods=("none,focal",), seeds="0-1"
    )
    card, examples = open_task(request, search_path("tasks"), tmp_path)
    plan = make_plan(card, request, examples)
    first, second = shards(plan, 2)
    assert {job.backbone for job in first.jobs} | {job.backbone for job in second.jobs} == {
        "lenet",
        "mobilenet_025",
    }
    assert len(first.jobs) == len(second.jobs) == 1
    assert [one.id for one in (*first.cells, *second.cells)] == [one.id for one in plan.cells]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("0/8", "the shards are 1/8 to 8/8"),
        ("9/8", "the shards are 1/8 to 8/8"),
        ("0/0", "a plan has 1 to 100,000 shards"),
        ("1/0", "a plan has 1 to 100,000 shards"),
        ("1/100001", "a plan has 1 to 100,000 shards"),
        *(
            (text, "for example 2/8")
            for text in ("a/b", "2", "2/", "/8", "-1/8", "1/2/3", "1.5/8", "", "²/8")
        ),
        ("1/99999999999999999999", "for example 2/8"),
    ],
)
def test_a_shard_that_is_none_is_one_line(text: str, says: str) -> None:
    with pytest.raises(BenchError) as error:
        parse_shard(text)
    assert says in str(error.value) and "\n" not in str(error.value) and "--shard" in str(error.value)


def test_a_shard_is_written_as_it_is_read() -> None:
    assert parse_shard(" 2 / 8 ") == parse_shard(str(Shard(2, 8))) == Shard(2, 8)
