"""Check of protocol values against each other."""

from __future__ import annotations

from collections.abc import Mapping

from bench.core.cell import Value
from bench.core.errors import BenchError
from bench.core.protocol import KEYS

_REHEARSAL_KEYS = ("rehearse_by", "rehearse_seed")
_TUNING_KEYS = ("tune_seed", "tuner")


def check_together(setting: Mapping[str, Value]) -> None:
    """Raise BenchError for contradicting values."""
    noisy, rate = setting["noise"] != "none", float(setting["noise_rate"] or 0.0)
    if noisy != (rate > 0.0):
        lacks = f"noise={setting['noise']} needs noise_rate" if noisy else "noise_rate needs noise"
        raise BenchError(f"--set {lacks}: for example --set noise=uniform --set noise_rate=0.2")
    hidden, rate = setting["hide"] != "none", float(setting["hide_rate"] or 0.0)
    if hidden != (rate > 0.0):
        lacks = f"hide={setting['hide']} needs hide_rate" if hidden else "hide_rate needs hide"
        raise BenchError(f"--set {lacks}: for example --set hide=random --set hide_rate=0.3")
    if (setting["hide"] == "column") != (setting["hide_by"] != ""):
        raise BenchError("--set hide=column and hide_by go together: for example --set hide_by=season")
    if not setting["rehearse"] and (unused := [key for key in _REHEARSAL_KEYS if setting[key]]):
        raise BenchError(f"--set {unused[0]} is for rehearsals: add --set rehearse=STAGE")
    unused = [key for key in _TUNING_KEYS if setting[key] != KEYS[key].default]
    if unused and setting["tune"] == 1:
        raise BenchError(f"--set {unused[0]} is for --tune N with several trials: add --tune 16, for example")
    if setting["rehearse"] and setting["staged"]:
        raise BenchError("--set rehearse=STAGE is for a single stage: leave out staged=true")
    if setting["rehearse"] and noisy:
        raise BenchError(
            f"--set rehearse=STAGE tests on training images, whose labels noise={setting['noise']} makes "
            "wrong: leave out one of the two"
        )
