"""A stage is split as its own cells say, whatever the other stages of the job do."""

from __future__ import annotations

from pathlib import Path

from bench.core.paths import search_path
from bench.runs.context import Context
from bench.runs.open_task import open_task
from bench.runs.plan import Request, make_plan
from bench.runs.run_job import run_job


def test_a_stage_has_its_own_share_of_validation(tmp_path: Path) -> None:
    settings = {"top20.val_fraction": 0.1, "remaining.val_fraction": 0.5, "epochs": 1}
    request = Request("fashion", sample="tiny", backbones=("grey",), methods=("none",), settings=settings)
    card, examples = open_task(request, search_path("tasks"), tmp_path)
    plan = make_plan(card, request, examples)
    context = Context(card, examples, tmp_path, tmp_path / "results", "", lambda *_, **__: None)
    for job in plan.jobs:
        run_job(context, job)
    cells, _ = context.store.load("fashion")
    shares = {}
    for cell in cells:
        counts = cell.record["counts"]
        shares[cell.record["cell"]["stage"]] = counts["val"] / (counts["train"] + counts["val"])
    assert shares["top20"] < 0.2 and shares["remaining"] > 0.3
