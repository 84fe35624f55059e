"""Protocol values of single stages, and sets of values by name: how they are written, and what has them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.core.paths import search_path
from bench.core.protocol import defaults
from bench.core.stage_values import STAGE_KEYS, parse_set, stage_values
from bench.data.examples import Examples
from bench.data.sources import open_source
from bench.data.task_card import load_card
from bench.runs.plan import Request, make_plan
from bench.training.fits import Fit, TrainSetting
from bench.training.schedule import Watch

CARD = load_card("fashion", search_path("tasks"))


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Examples:
    return open_source(
        "kaggle-fashion", None, "tiny", tmp_path_factory.mktemp("cache"), ("articleType", "year")
    )


def _cells(examples: Examples, *sets: str, regime: str = "finetune", **options: object) -> dict[str, Cell]:
    request = Request(
        "fashion",
        sample="tiny",
        backbones=("mobilenet_025",),
        methods=("none",),
        seeds="0",
        regime=regime,
        settings=dict(parse_set(text) for text in sets),
    )
    plan = make_plan(CARD, replace(request, **options), examples)  # type: ignore[arg-type]
    return {cell.stage: cell for cell in plan.cells}


def test_a_stage_has_its_own_value_and_the_other_the_common_one(examples: Examples) -> None:
    cells = _cells(examples, "epochs=5", "remaining.epochs=9")
    assert [cells[stage].setting["epochs"] for stage in ("top20", "remaining")] == [5, 9]
    assert not any("." in key for cell in cells.values() for key in cell.setting)


def test_what_no_other_stage_goes_on_from_leaves_it_alone(examples: Examples) -> None:
    """The first stage's cells are the same whatever the second one is given, so none is trained again."""
    before, after = _cells(examples), _cells(examples, "remaining.lr=0.5")
    assert before["top20"].id == after["top20"].id
    assert before["remaining"].id != after["remaining"].id
    frozen = _cells(examples, "top20.lr=0.5", regime="frozen"), _cells(examples, regime="frozen")
    assert frozen[0]["remaining"].id == frozen[1]["remaining"].id


def test_a_staged_cell_knows_how_the_stage_before_it_was_trained(examples: Examples) -> None:
    plain, other = _cells(examples, "staged=true"), _cells(examples, "staged=true", "top20.lr=0.5")
    assert plain["remaining"].id != other["remaining"].id
    assert other["remaining"].setting["top20.lr"] == 0.5
    assert other["remaining"].setting["lr"] == plain["remaining"].setting["lr"]
    # What the runner trains before it is the cell that the plan has for that stage.
    again = stage_values(other["remaining"].setting, "top20")
    assert replace(other["remaining"], stage="top20", protocol=tuple(sorted(again.items()))) == other["top20"]


def test_the_published_settings_by_name(examples: Examples) -> None:
    """As the seed trained: 4 epochs at 7e-4 and 1 at 1e-4, then 5 and 5; pixels in [0, 1], squashed."""
    from bench.training.schedule import rate

    cells = _cells(examples, "protocol=seed")
    for stage, rates in (("top20", [7e-4] * 4 + [1e-4]), ("remaining", [7e-4] * 5 + [1e-4] * 5)):
        setting = cells[stage].setting
        names = ("batch_size", "lr", "schedule", "schedule_every", "schedule_factor")
        train = TrainSetting(**{name: setting[name] for name in names})  # type: ignore[arg-type]
        epochs = int(setting["epochs"] or 0)
        found = [rate(train, epochs, [None] * done) for done in range(epochs)]  # type: ignore[list-item]
        assert found == pytest.approx(rates)
        assert (setting["optimizer"], setting["momentum"], setting["batch_size"]) == ("sgd", 0.9, 16)
        assert (setting["preprocess"], setting["resize"]) == ("unit", "squash")
        assert (setting["input_size"], setting["staged"], setting["stop_by"]) == ("224x224", True, "last")
    own = _cells(examples, "protocol=seed", "lr=0.01")
    assert own["top20"].setting["lr"] == 0.01, "what is given by itself wins"


@pytest.mark.parametrize(
    ("sets", "says"),
    [
        (("rest.epochs=3",), "unknown stage 'rest'"),
        (("protocol=seeds",), "did you mean 'seed'"),
        (("remaining.stop_by=val_auc",), "stop_by=val_auc is not known"),
    ],
)
def test_what_the_task_does_not_have_is_one_line(
    examples: Examples, sets: tuple[str, ...], says: str
) -> None:
    with pytest.raises(BenchError, match=says):
        _cells(examples, *sets)


def test_a_named_set_is_held_to_the_regime(examples: Examples) -> None:
    with pytest.raises(
        BenchError,
        match=r"staged is for --regime finetune; .* frozen \(the named protocol has staged=True\)",
    ):
        _cells(examples, "protocol=seed", regime="frozen")
    # What it has, but the command takes back, is not held to anything.
    assert _cells(examples, "protocol=seed", "staged=false", regime="frozen")


@pytest.mark.parametrize("text", ["remaining.crop=0.5", ".epochs=3", "a.b.pairs=made", "protocol=../x"])
def test_keys_that_stages_cannot_have(text: str) -> None:
    with pytest.raises(BenchError):
        parse_set(text)


def test_every_key_of_a_stage_is_a_key() -> None:
    assert set(STAGE_KEYS) <= set(defaults())


def test_where_nothing_is_chosen_the_last_epoch_is_kept() -> None:
    import numpy as np

    from bench.training.linear_head import LossSpec

    rows = np.arange(4)
    fit = Fit(rows, rows, LossSpec(), None, 0, 3, stop_by="last")
    watch = Watch(fit, TrainSetting(batch_size=4, lr=0.1, patience=1), attributes=False)
    kept = [watch.record(1.0, loss, 0.5) for loss in (0.1, 0.2, 0.3)]
    assert kept == [False, False, True] and watch.best_epoch == 3 and watch.stopped


def test_cards_of_ones_own_name_their_sets(tmp_path: Path) -> None:
    text = CARD.path.read_text(encoding="utf-8").replace("[protocols.seed]", "[protocols.mine]")
    (tmp_path / "fashion").mkdir()
    (tmp_path / "fashion" / "task.toml").write_text(text, encoding="utf-8")
    assert set(load_card("fashion", [tmp_path]).protocols) == {"mine"}
