"""Runner of one stage of a task with one class for each image."""

from __future__ import annotations

from bench.backbones.inputs import Inputs
from bench.data.pixels import Pixels
from bench.runs.context import Context
from bench.runs.image_stage import ImageStage
from bench.runs.plan import Job
from bench.runs.stage_run import Nets, StageRun


def prepare(context: Context, pixels: Pixels, inputs: Inputs | None, nets: Nets, job: Job) -> StageRun:
    """Split the stage's data and prepare training."""
    return ImageStage(context, pixels, inputs, nets, job).checked()
