"""Requests become cells: names checked first, reasons given, seeds and stages expanded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.core.paths import search_path
from bench.data.examples import Examples
from bench.data.task_card import TaskCard, load_card
from bench.runs.open_task import open_task
from bench.runs.plan import Plan, Request, make_plan, parse_seeds


@pytest.fixture(scope="module")
def card() -> TaskCard:
    return load_card("fashion", search_path("tasks"))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    request = Request("fashion", sample="tiny")
    return open_task(request, search_path("tasks"), tmp_path_factory.mktemp("cache"))[1]


def plan_of(card: TaskCard, examples: Examples, **asked: object) -> Plan:
    return make_plan(card, Request("fashion", sample="tiny", **asked), examples)  # type: ignore[arg-type]


def test_the_grid_is_every_combination(card: TaskCard, examples: Examples) -> None:
    plan = plan_of(
        card, examples, backbones=("lenet,mobilenet_025",), methods=("none,focal", "oversample"), seeds="0-2"
    )
    assert len(plan.jobs) == 2 and len(plan.cells) == 2 * 3 * 3 * 2
    assert len({cell.id for cell in plan.cells}) == len(plan.cells)
    assert {cell.regime for cell in plan.jobs[0].cells} == {"scratch"}
    assert {cell.regime for cell in plan.jobs[1].cells} == {"frozen"}
    assert {cell.weights for cell in plan.jobs[1].cells} == {"imagenet"}


def test_the_card_fills_in_what_is_not_asked(card: TaskCard, examples: Examples) -> None:
    plan = plan_of(card, examples)
    grid = card.grids["drawn"]
    assert {cell.backbone for cell in plan.cells} == set(grid.backbones)
    assert {cell.method.text for cell in plan.cells} == set(grid.methods)
    assert plan.cells[0].setting["epochs"] == card.protocol["scratch"]["epochs"]


def test_one_method_spelt_twice_is_one(card: TaskCard, examples: Examples) -> None:
    plan = plan_of(card, examples, methods=("class_weight+oversample,oversample+class_weight",), seeds="0")
    assert len(plan.cells) == len(card.stages)


def test_settings_and_stage_filter_reach_the_cells(card: TaskCard, examples: Examples) -> None:
    plan = plan_of(
        card, examples, stages=("remaining",), settings={"epochs": 3}, methods=("none",), seeds="4"
    )
    (cell,) = plan.cells
    assert (cell.stage, cell.seed, cell.setting["epochs"]) == ("remaining", 4, 3)


def test_what_cannot_run_is_skipped_with_its_reason(card: TaskCard, examples: Examples) -> None:
    plan = plan_of(card, examples, methods=("none,smote",), seeds="0")
    (skip,) = plan.skipped
    assert skip.method == "smote" and "features" in skip.reason
    assert {cell.method.text for cell in plan.cells} == {"none"}


def test_a_stage_without_a_class_cannot_run_and_the_others_do(card: TaskCard, examples: Examples) -> None:
    labels = examples.columns[card.label]
    few = set(list(dict.fromkeys(label for label in labels if label))[:6])
    columns = {**examples.columns, card.label: tuple(label if label in few else "" for label in labels)}
    plan = make_plan(card, Request("fashion", backbones=("lenet",)), replace(examples, columns=columns))
    assert {cell.stage for cell in plan.cells} == {"top20"}
    (skip,) = plan.skipped
    assert (skip.backbone, skip.method) == ("lenet", "every method")
    assert skip.reason.startswith("stage 'remaining' begins at class 21, but train knows only ")
    only = make_plan(card, Request("fashion", stages=("remaining",)), replace(examples, columns=columns))
    assert not only.cells and only.skipped
    drawn = make_plan(
        card,
        Request("fashion", backbones=("lenet",), settings={"split": "random"}),
        replace(examples, columns=columns),
    )
    assert [skip.reason for skip in drawn.skipped] == [
        "stage 'remaining' begins at class 21, but the data has only 6"
    ]


def test_a_backbone_that_cannot_run_gives_its_reason_for_every_method(
    card: TaskCard, examples: Examples
) -> None:
    plan = plan_of(
        card, examples, backbones=("mobilenet_025",), settings={"input_size": "8"}, methods=("none,focal",)
    )
    assert not plan.cells and len(plan.skipped) == 2
    assert "32" in plan.skipped[0].reason
    lenet = plan_of(card, examples, regime="frozen", methods=("none",))
    assert not lenet.cells and "ImageNet" in lenet.skipped[0].reason


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"backbones": ("mobilnet_025",)}, "did you mean 'mobilenet_025'"),
        ({"backbones": ("lenet,",)}, "a name is empty"),
        ({"methods": ("clas_weight",)}, "did you mean 'class_weight'"),
        ({"methods": ("focal+label_smoothing",)}, "loss"),
        ({"regime": "frosen"}, "did you mean 'frozen'"),
        ({"stages": ("top2",)}, "did you mean 'top20'"),
        ({"seeds": "a"}, "--seed"),
        ({"backbones": ("mobilenet_025",), "weights": "/no/such/file.h5"}, "/no/such/file.h5"),
    ],
)
def test_a_wrong_name_is_one_line(
    card: TaskCard, examples: Examples, asked: dict[str, object], says: str
) -> None:
    with pytest.raises(BenchError, match=says) as error:
        plan_of(card, examples, **asked)
    assert "\n" not in str(error.value)


def test_an_unknown_task_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="did you mean 'fashion'"):
        open_task(Request("fashon"), search_path("tasks"), tmp_path)


def test_the_data_is_part_of_the_identity(card: TaskCard, examples: Examples) -> None:
    other = replace(examples, fingerprint="f" * 64)
    ids = [{cell.id for cell in plan_of(card, data).cells} for data in (examples, other)]
    assert not ids[0] & ids[1]


def test_a_request_survives_json() -> None:
    request = Request(
        "fashion",
        Path("/data"),
        None,
        ("lenet",),
        ("none",),
        "0-1",
        ("top20",),
        "frozen",
        "random",
        {"lr": 0.1},
    )
    assert Request.from_json(request.to_json()) == request


@pytest.mark.parametrize(
    "text", ["", "x", "1-", "-1", "3-1", "1,,2", "0,0", "0-5,3", "0-99999", "1.5", "0-999999999"]
)
def test_faulty_seeds_are_one_line(text: str) -> None:
    with pytest.raises(BenchError, match="--seed"):
        parse_seeds(text)


@given(st.lists(st.integers(0, 10_000), min_size=1, max_size=20, unique=True))
def test_seed_lists_read_back(seeds: list[int]) -> None:
    assert parse_seeds(",".join(map(str, seeds))) == tuple(seeds)


def test_a_regime_has_defaults_of_its_own_that_cards_and_users_go_before(
    card: TaskCard, examples: Examples
) -> None:
    plan = plan_of(card, examples, backbones=("lenet,mobilenet_025",), methods=("none",), seeds="0")
    scratch, frozen = (dict(job.cells[0].setting) for job in plan.jobs)
    assert (frozen["l2"], frozen["refit"], frozen["epochs"]) == ("auto", True, 400)
    assert (scratch["l2"], scratch["refit"]) == (0.0, False)
    own = replace(card, protocol={**card.protocol, "frozen": {"l2": 0.5}})
    (cell, *_) = plan_of(own, examples, backbones=("mobilenet_025",), methods=("none",), seeds="0").cells
    assert cell.setting["l2"] == 0.5 and cell.setting["refit"] is True
    asked = {"l2": 0.25, "refit": False}
    (cell, *_) = plan_of(
        own, examples, backbones=("mobilenet_025",), methods=("none",), seeds="0", settings=asked
    ).cells
    assert cell.setting["l2"] == 0.25 and cell.setting["refit"] is False


@pytest.mark.parametrize("key", ["l2", "remaining.l2"])
def test_nets_do_not_choose_their_decay(card: TaskCard, examples: Examples, key: str) -> None:
    with pytest.raises(BenchError, match="l2=auto is for heads on frozen features: give a number"):
        plan_of(card, examples, backbones=("lenet",), settings={key: "auto"})
