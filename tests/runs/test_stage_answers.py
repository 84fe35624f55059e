"""A stage of images: how it is split, what each cell starts from, what is stored; heads are made up.

The data is the drawn sample, the features are noise, and a head follows from its rows at once, see `closed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from bench.core.cell import Cell
from bench.core.errors import BenchError
from bench.core.kind import get_kind
from bench.core.paths import search_path
from bench.core.predictions import CellResult, Predictions
from bench.core.stage_values import stage_values
from bench.data.examples import Examples
from bench.data.task_card import Stage, TaskCard
from bench.data.validation import draw_calibration
from bench.methods.apply import Resolved
from bench.runs import image_stage, stage_run
from bench.runs.context import CHECKPOINTS, Context
from bench.runs.image_stage import SPLITS, ImageStage
from bench.runs.open_task import open_task
from bench.runs.plan import Job, Plan, Request, make_plan
from bench.runs.stage_run import Nets, Validated, validation_score
from bench.runs.staged_nets import key_of, net_of, starts_of
from bench.runs.trainers import HeadTrainer, NetTrainer
from bench.store.head_file import SavedHead
from bench.training.fits import Trained
from bench.training.linear_head import LinearHead, link
from tests.cells import cell_of

WIDTH, NET = 5, "mobilenet_025"


class Searched(Context):
    """A run of which the search for near duplicates has found none."""

    @property
    def near(self) -> np.ndarray:
        return np.empty((0, 2), np.int64)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> tuple[TaskCard, Examples]:
    return open_task(Request("fashion", sample="tiny"), search_path("tasks"), tmp_path_factory.mktemp("c"))


Sample = tuple[TaskCard, Examples]


class Features:
    """Features (n, WIDTH) that were made up."""

    def __init__(self, count: int) -> None:
        self.features = np.random.default_rng(0).normal(size=(count, WIDTH)).astype(np.float32)


def closed(self: Any, work: Any, first: Sequence[Trained] = ()) -> Iterator[tuple[Trained, Resolved | None]]:
    """Stand for `fit` of both trainers.

    The head is the mean of each class, in the features of `HeadTrainer` or by rows' numbers. A net's one
    variable is a hundred times its start, or 0, plus ten times its seed, plus its method's length as text.
    """
    for cell, split in work:
        method, labels = cell.method, self.truth[split.train]
        if method.text == "focal(gamma=9)":
            yield Trained(None, 0, failed="loss became NaN in epoch 1"), None
            continue

        def embed(rows: np.ndarray) -> np.ndarray:
            return self.embed(rows) if isinstance(self, HeadTrainer) else np.eye(WIDTH)[rows % WIDTH]

        made = self.resolver(method, labels, None, self.classes, cell.seed, None, None)
        inputs = embed(split.train)
        kernel = np.stack([inputs[labels == label].mean(axis=0) for label in range(self.classes)], axis=1)
        head = LinearHead(kernel.astype(np.float32), np.zeros(self.classes, np.float32))
        start = self.starts.get(cell.id)
        begun = 0.0 if start is None else float(start[0][0])
        net = (np.array([100 * begun + 10 * cell.seed + len(method.text)]),)
        yield Trained(head, cell.seed + 1, embed=embed, net=partial(tuple, net)), made


@pytest.fixture(autouse=True)
def untrained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HeadTrainer, "fit", closed)
    monkeypatch.setattr(NetTrainer, "fit", closed)


def planned(
    sample: Sample, methods: Sequence[str], regime: str = "frozen", backbone: str = "grey", **settings: Any
) -> Plan:
    seeds = settings.pop("seeds", "0")
    request = Request(
        "fashion",
        sample="tiny",
        backbones=(backbone,),
        methods=tuple(methods),
        seeds=seeds,
        regime=regime,
        weights="random" if regime == "scratch" else None,
        settings=settings,
    )
    plan = make_plan(sample[0], request, sample[1])
    assert not plan.skipped
    return plan


@dataclass(frozen=True)
class Given:
    """What a stage is made of: see `StageRun`."""

    context: Context
    pixels: Any
    inputs: Any
    job: Job

    @property
    def cells(self) -> tuple[Cell, ...]:
        """The cells of the job."""
        return self.job.cells


def work_of(sample: Sample, folder: Path, plan: Plan, stage: str = "top20", keep: bool = False) -> Given:
    """Return what one stage of a plan of one backbone is made of."""
    card, examples = sample
    [job] = plan.jobs
    context = Searched(card, examples, folder, folder / "results", "", lambda *_, **__: None, keep=keep)
    pixels: Any = SimpleNamespace(ok=np.ones(len(examples.items), bool), size=(8, 6))
    inputs: Any = None if job.regime != "frozen" else Features(len(examples.items))
    job = replace(job, cells=tuple(cell for cell in job.cells if cell.stage == stage))
    return Given(context, pixels, inputs, job)


def stage_of(work: Given, nets: Nets | None = None) -> ImageStage:
    """Return the stage, split and ready to train."""
    return ImageStage(work.context, work.pixels, work.inputs, {} if nets is None else nets, work.job)


def answered(stage: ImageStage) -> dict[str, Any]:
    """Return results, with the predictions as `parts` and the model, by method and seed."""
    [cells] = stage.groups()
    return {
        f"{result.cell.method.text} {result.cell.seed}": SimpleNamespace(
            **vars(result), parts=parts, model=model
        )
        for result, parts, model in stage.answers(cells)
    }


def test_an_answer_holds_predictions_of_validation_and_test_and_counts(
    sample: Sample, tmp_path: Path
) -> None:
    plan = planned(sample, ("none", "focal(gamma=9)"), seeds="0-1", refit=False)
    work = work_of(sample, tmp_path, plan)
    lost = int(np.flatnonzero(stage_of(work).splits[0].truth >= 0)[0])
    work.pixels.ok[lost] = False
    stage = stage_of(work)
    stage.found = {"signal": "checked"}
    found, items = answered(stage), sample[1].items
    for seed in (0, 1):
        split, answer = stage.splits[seed], found[f"none {seed}"]
        assert lost not in np.concatenate([split.train, split.val, split.test])
        assert answer.counts == {
            "train": len(split.train),
            "val": len(split.val),
            "test": len(split.test),
            "not_scored": split.unseen,
            "leaked": split.leaked,
            "leaked_near": split.leaked_near,
            "quarantined": 1 + sum(one.fatal for one in sample[1].problems),
        }
        assert answer.choices == {"best_epoch": seed + 1} and answer.model is None
        assert answer.checks == {"signal": "checked"} and list(answer.parts) == ["val", "test"]
        [(trained, _)] = stage.trainer.fit([(answer.cell, split)])
        assert trained.head is not None and trained.embed is not None
        for name, rows in (("val", split.val), ("test", split.test)):
            part = answer.parts[name]
            scores = link("softmax", trained.head.logits(trained.embed(rows)))
            assert part.items == tuple(items[row] for row in rows) and part.classes == split.classes
            np.testing.assert_array_equal(part.truth, split.truth[rows])
            np.testing.assert_array_equal(part.scores, scores)
            np.testing.assert_array_equal(part.train_support, split.train_counts)
            assert part.groups is None and part.cuts is None
        failed = found[f"focal(gamma=9) {seed}"]
        assert failed.reason == "loss became NaN in epoch 1" and not failed.parts
    assert not np.array_equal(stage.splits[0].val, stage.splits[1].val)
    assert stage.first is stage.splits[0] and not stage.nets


def test_groups_of_the_data_are_those_of_the_predictions(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    groups = tuple(f"shop {row // 3}" for row in range(len(sample[1].items)))
    monkeypatch.setattr("bench.data.labels.Parts.groups", groups)
    stage = stage_of(work_of(sample, tmp_path, planned(sample, ("none",), refit=False)))
    assert isinstance(stage.trainer, HeadTrainer) and stage.trainer.groups is groups
    test = answered(stage)["none 0"].parts["test"]
    assert test.groups == tuple(groups[row] for row in stage.first.test)


def test_models_are_kept_where_they_are_asked_for(sample: Sample, tmp_path: Path) -> None:
    plan = planned(sample, ("none",))
    for keep in (False, True):
        model = answered(stage_of(work_of(sample, tmp_path, plan, keep=keep)))["none 0"].model
        assert (isinstance(model, SavedHead) and model.size == (8, 6)) if keep else model is None


def test_cells_with_a_calibration_part_are_split_apart(sample: Sample, tmp_path: Path) -> None:
    """Those of one seed and share are a stage of their own, after those without."""
    texts = ("conformal(alpha=0.5)", "none", "temperature+conformal(alpha=0.5)", "focal+conformal(alpha=0.5)")
    work = work_of(sample, tmp_path, planned(sample, texts, seeds="0-1", refit=False))
    whole = stage_of(work)
    stages = list(whole._stages(work.cells))
    assert stages[0][0] is whole and [cell.method.text for cell in stages[0][1]] == ["none", "none"]
    together = [[(cell.method.text, cell.seed) for cell in members] for _, members in stages[1:]]
    assert sorted(together) == sorted(
        [[(text, seed) for text in (texts[0], texts[3])] for seed in (0, 1)]
        + [[(texts[2], seed)] for seed in (0, 1)]
    )
    hashes, units = sample[1].images.content_hashes(), work.context.parts(work.cells[0]).units
    found = answered(whole)
    assert set(found) == {f"{text} {seed}" for text in texts for seed in (0, 1)}
    for stage, members in stages[1:]:
        assert type(stage) is ImageStage and stage.nets is whole.nets
        for cell in members:
            made = draw_calibration(whole.splits[cell.seed], stage.calibration, cell.seed, units, hashes)
            split, answer = stage.splits[cell.seed], found[f"{cell.method.text} {cell.seed}"]
            assert {*split.calibration} == {step for step, _ in stage.calibration}
            for step, rows in made.calibration.items():
                np.testing.assert_array_equal(split.calibration[step], rows)
                part = answer.parts[step]
                assert part.items == tuple(sample[1].items[row] for row in rows)
                np.testing.assert_array_equal(part.cuts, answer.parts["test"].cuts)
            np.testing.assert_array_equal(split.train, made.train)
            assert answer.parts["val"].cuts is not None
            assert answer.counts["calibration"] == sum(map(len, made.calibration.values()))


def validated(stage: ImageStage, cells: Sequence[Cell]) -> list[Validated]:
    return [one for _, one in stage.validate(cells)]


def test_few_validation_rows_are_drawn_anew_for_trials(sample: Sample, tmp_path: Path) -> None:
    """The score is the mean over this and other splits of the same training set; test is left alone."""
    work = work_of(sample, tmp_path, planned(sample, ("none", "focal(gamma=9)"), seeds="0-1"))
    stage = stage_of(work)
    splits = stage._validations(1)
    # Other numbers would give cells of the same identity other results.
    assert (image_stage.MIN_VALIDATION, SPLITS) == (200, 5)
    assert len(splits) == SPLITS and splits[0] is stage.splits[1] and stage._validations(1) is splits
    pool = np.union1d(splits[0].train, splits[0].val)
    for one in splits:
        np.testing.assert_array_equal(np.union1d(one.train, one.val), pool)
        np.testing.assert_array_equal(one.test, splits[0].test)
    assert len({one.val.tobytes() for one in [*splits, *stage._validations(0)]}) == 2 * SPLITS
    cells = [cell for cell in work.cells if cell.seed == 1]
    scored, failed = validated(stage, cells)
    assert failed == Validated(None, "loss became NaN in epoch 1", SPLITS)
    metrics, each = get_kind("multiclass").metrics, list[Any]()
    for one in splits:
        [(trained, _)] = stage.trainer.fit([(cells[0], one)])
        assert trained.head is not None and trained.embed is not None
        scores = link("softmax", trained.head.logits(trained.embed(one.val)))
        each.append(metrics.summary(stage.predictions(cells[0], one, one.val, scores))["top1_macro"])
    assert len(set(each)) > 1
    assert scored.score == pytest.approx(np.mean(each)) and scored == Validated(scored.score, None, SPLITS)


def test_many_validation_rows_nets_and_rehearsals_have_one_split(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(sample, ("none",))
    stage = stage_of(work_of(sample, tmp_path, plan))
    for few, count in ((len(stage.first.val), 1), (len(stage.first.val) + 1, SPLITS)):
        monkeypatch.setattr(image_stage, "MIN_VALIDATION", few)
        assert len(stage._validations(0)) == count
        assert validated(stage, stage.job.cells)[0].splits == count
    nets = stage_of(work_of(sample, tmp_path, planned(sample, ("none",), "scratch", "lenet")))
    assert nets._validations(0) == [nets.first]
    rehearsed = [
        replace(cell, protocol=tuple(sorted({**cell.setting, "rehearse": "top20"}.items())))
        for cell in stage.job.cells
    ]
    stage.cell = rehearsed[0]
    assert stage._validations(0) == [stage.first]


def test_other_splits_leave_the_calibration_part_out(sample: Sample, tmp_path: Path) -> None:
    work = work_of(sample, tmp_path, planned(sample, ("conformal(alpha=0.5)",)))
    [(stage, _)] = stage_of(work)._stages(work.cells)
    splits, part = stage._validations(0), stage.first.calibration["conformal"]
    assert len(splits) == SPLITS
    assert not any(np.isin(one.train, part).any() or np.isin(one.val, part).any() for one in splits)


def test_trials_without_validation_rows_or_with_an_undefined_score_say_so(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = work_of(sample, tmp_path, planned(sample, ("none",), val_fraction=0))
    stage = stage_of(work)
    assert not len(stage.first.val)
    assert validated(stage, work.cells) == [Validated(None, "there are no validation rows", 1)]
    monkeypatch.setattr(stage_run, "get_kind", lambda name: _Undefined())
    pred: Predictions = SimpleNamespace()  # type: ignore[assignment]
    assert validation_score(work.cells[0], pred) == Validated(None, "top1_macro is undefined on validation")


class _Undefined:
    selection = "top1_macro"
    metrics = SimpleNamespace(summary=lambda _: {"top1_macro": None})


STAGED = {"staged": True, "refit": False}


def begun(method: str, seed: int, before: float = 0.0) -> float:
    """Return the variable of a net of `closed`."""
    return 100 * before + 10 * seed + len(method)


def test_staged_nets_start_from_their_own_net_of_the_stage_before(sample: Sample, tmp_path: Path) -> None:
    plan = planned(sample, ("none", "focal"), "finetune", NET, seeds="0-1", **STAGED)
    nets: Nets = {}
    found = answered(stage_of(work_of(sample, tmp_path, plan), nets))
    keys = {("top20", text, seed) for text in ("none", "focal") for seed in (0, 1)}
    assert set(nets) == keys and all(answer.model is None for answer in found.values())
    assert {key: float(net[0][0]) for key, net in nets.items()} == {key: begun(*key[1:]) for key in keys}
    work = work_of(sample, tmp_path, plan, "remaining", keep=True)
    later = answered(stage_of(work, nets))
    assert len(nets) == 8
    for name, answer in later.items():
        text, _, seed = name.rpartition(" ")
        assert float(answer.model.net[0][0]) == begun(text, int(seed), begun(text, int(seed)))
    # Where the stage before was trained in another run, its nets are trained again.
    before = tmp_path / CHECKPOINTS
    before.mkdir(exist_ok=True)
    earlier = [cell for cell in plan.cells if cell.stage == "top20"]
    (before / f"{earlier[0].id}.npz").touch()
    again: Nets = {("top20", "none", 1): nets["top20", "none", 1]}
    alone = answered(stage_of(work, again))
    assert {name: float(one.model.net[0][0]) for name, one in alone.items()} == {
        name: float(one.model.net[0][0]) for name, one in later.items()
    }
    assert set(again) == set(nets) and not list(before.glob("*.npz"))


def test_one_staged_net_alone_has_its_start(sample: Sample, tmp_path: Path) -> None:
    plan = planned(sample, ("none",), "finetune", NET, **STAGED)
    found = answered(stage_of(work_of(sample, tmp_path, plan, "remaining", keep=True), {}))
    assert float(found["none 0"].model.net[0][0]) == begun("none", 0, begun("none", 0))


def test_each_stage_begins_with_the_one_before_as_that_was_trained_itself(sample: Sample) -> None:
    """Its identity has the values of the stages that it continues."""
    names = ("one", "two", "three", "four")
    card = replace(sample[0], stages=tuple(Stage(name, 0, None) for name in names))
    cell = planned(sample, ("none",), "finetune", NET, **STAGED).cells[0]
    protocol = {**cell.setting, "epochs": 9, "one.epochs": 3, "two.epochs": 5}
    cells = [
        replace(
            cell,
            stage=name,
            protocol=tuple(sorted(stage_values(protocol, name, names[:place][::-1]).items())),
        )
        for place, name in enumerate(names)
    ]
    asked: list[Cell] = []
    nets: Nets = {}

    def train(missing: Sequence[Cell]) -> None:
        asked.extend(missing)
        nets.update({key_of(one): (np.ones(1),) for one in missing})

    for before, later in pairwise(cells):
        starts, lost = starts_of(card, [later], nets, train)
        assert asked.pop() == before and list(starts) == [later.id] and not lost
        starts_of(card, [later], nets, train)
        assert not asked, "it is there"
    assert starts_of(card, cells[:1], nets, train) == ({}, {})


def test_only_staged_nets_have_a_start(sample: Sample, tmp_path: Path) -> None:
    for regime, staged in (("finetune", False), ("scratch", True), ("frozen", True)):
        settings = {**STAGED, "staged": True} if regime == "finetune" and staged else {"refit": False}
        plan = planned(sample, ("none",), regime, "grey" if regime == "frozen" else NET, **settings)
        nets: Nets = {}
        stage = stage_of(work_of(sample, tmp_path, plan, "remaining", keep=True), nets)
        assert not stage.staged and not stage.trainer.starts and not stage.lost
        net = answered(stage)["none 0"].model.net
        assert float(net[0][0]) == begun("none", 0) and not nets


def test_a_net_that_fails_takes_the_later_stages_of_its_method_with_it(
    sample: Sample, tmp_path: Path
) -> None:
    text, why = "focal(gamma=9)", "loss became NaN in epoch 1"
    plan = planned(sample, (text, "none"), "finetune", NET, **STAGED)
    lost = f"stage top20, which remaining starts from: {why}"
    for first in (True, False):
        nets: Nets = {}
        if first:
            assert answered(stage_of(work_of(sample, tmp_path, plan), nets))[f"{text} 0"].reason == why
            assert nets["top20", text, 0] == why
        found = answered(stage_of(work_of(sample, tmp_path, plan, "remaining"), nets))
        assert found[f"{text} 0"].reason == lost and found["none 0"].reason is None
        assert nets["remaining", text, 0] == lost and not isinstance(nets["remaining", "none", 0], str)


def test_a_net_without_variables_is_no_start() -> None:
    assert net_of((CellResult(cell_of(), "ok"), {}, None)) == "it has no net"


def test_titles_come_after_the_features_of_images(sample: Sample, tmp_path: Path) -> None:
    work = work_of(sample, tmp_path, planned(sample, ("none",), backbone="grey+tfidf"))
    stage = stage_of(work)
    assert isinstance(stage.trainer, HeadTrainer) and stage.titles is not None
    assert stage.titles.column == sample[0].titles
    assert stage.trainer.images == WIDTH < stage.trainer.table.shape[1]
    assert stage.trainer.mean[0] != 0 and not stage.trainer.mean[WIDTH:].any()
    assert stage.trainer.scale[WIDTH:].min() == 1 == stage.trainer.scale[WIDTH:].max()
    [job] = planned(sample, ("none",), backbone="tfidf").jobs
    alone = stage_of(replace(work, job=replace(job, cells=job.cells[:1]), inputs=None))
    assert isinstance(alone.trainer, HeadTrainer) and alone.trainer.images == 0
    assert stage_of(work_of(sample, tmp_path, planned(sample, ("none",)))).titles is None


def test_each_regime_has_its_trainer(sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_stage, "word_inputs", lambda titles, precision: ("words", titles, precision))
    words = stage_of(work_of(sample, tmp_path, planned(sample, ("none",), "scratch", "gru")))
    assert isinstance(words.trainer, NetTrainer) and words.trainer.checkpoints is None
    inputs: Any = words.trainer.inputs
    assert inputs == ("words", words.titles, "float32")
    for regime, folder in (("scratch", None), ("finetune", tmp_path / CHECKPOINTS)):
        work = work_of(sample, tmp_path, planned(sample, ("none",), regime, NET))
        stage = stage_of(work)
        assert isinstance(stage.trainer, NetTrainer) and stage.trainer.checkpoints == folder
        assert stage.trainer.inputs.rows is work.pixels
    frozen = stage_of(work_of(sample, tmp_path, planned(sample, ("none",))))
    assert isinstance(frozen.trainer, HeadTrainer) and frozen.trainer.images == WIDTH
    assert frozen.trainer.prices is sample[1].columns.get("price")


def test_auxiliary_columns_are_read_where_a_method_trains_on_them(sample: Sample, tmp_path: Path) -> None:
    plan = planned(sample, ("none", "mlp(units=2)+multitask"))
    work = work_of(sample, tmp_path, plan)
    for cells in (work.cells, work.cells[1:]):
        targets = stage_of(replace(work, job=replace(work.job, cells=cells))).trainer.targets
        assert targets is not None and targets.names == sample[0].auxiliary
    assert stage_of(replace(work, job=replace(work.job, cells=work.cells[:1]))).trainer.targets is None


def test_the_check_of_the_labels_takes_one_image_of_each_group(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def check(*args: Any) -> Any:
        asked.append(args)
        return SimpleNamespace(to_json=lambda: {"p": 0.5}) if len(asked) < 3 else None

    monkeypatch.setattr(image_stage, "signal_check", check)
    work = work_of(sample, tmp_path, planned(sample, ("none",)))
    stage, lines = stage_of(work), []
    work.context.__dict__["emit"] = lambda kind, **fields: lines.append((kind, fields))
    assert stage.checked() is stage and stage.found == {"signal": {"p": 0.5}}
    assert lines == [
        ("progress", {"done": 0, "total": 1, "what": "testing the labels against permuted ones"})
    ]
    features, columns, classes, units = asked[0]
    rows = np.sort(np.concatenate([stage.first.train, stage.first.val]))
    hashes = sample[1].images.content_hashes()
    assert units == [hashes[row] for row in rows] and classes == stage.first.classes
    assert isinstance(stage.trainer, HeadTrainer) and features is stage.trainer.table
    np.testing.assert_array_equal(columns.argmax(axis=1), stage.first.truth[rows])
    groups = tuple(f"shop {row // 3}" for row in range(len(hashes)))
    monkeypatch.setattr("bench.data.labels.Parts.groups", groups)
    grouped = stage_of(work_of(sample, tmp_path, planned(sample, ("none",))))
    assert grouped.checked().found == {"signal": {"p": 0.5}}
    rows = np.sort(np.concatenate([grouped.first.train, grouped.first.val]))
    assert asked[1][3] == [groups[row] for row in rows]
    assert stage_of(work).checked().found == {}, "nothing can be tested"
    nets = stage_of(work_of(sample, tmp_path, planned(sample, ("none",), "scratch", "lenet")))
    assert nets.checked().found == {} and len(asked) == 3
    titled = stage_of(work_of(sample, tmp_path, planned(sample, ("none",), backbone="grey+tfidf")))
    assert titled.titles is not None and titled.checked().found == {"titles": titled.titles.to_json()}


def test_a_trial_that_is_not_stored_leaves_no_checkpoint(sample: Sample, tmp_path: Path) -> None:
    stage = stage_of(work_of(sample, tmp_path, planned(sample, ("none",))))
    folder = tmp_path / CHECKPOINTS
    folder.mkdir()
    for name in (f"{stage.cell.id}.npz", "another.npz"):
        (folder / name).touch()
    stage.forget(stage.cell)
    assert [path.name for path in folder.iterdir()] == ["another.npz"]


def test_a_stage_that_cannot_be_split_fails_before_the_one_before_it_is_trained(
    sample: Sample, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = planned(sample, ("none",), "finetune", NET, **STAGED)
    work = work_of(sample, tmp_path, plan, "remaining")
    work.pixels.ok[:] = False
    monkeypatch.setattr(NetTrainer, "fit", lambda *_: pytest.fail("a net was trained"))
    with pytest.raises(BenchError):
        stage_of(work)
