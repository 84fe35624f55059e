"""How many runs that are killed at random moments leave a torn cell, or end with another bit than others.

    python -m benchmarks.kills [--kills 1000] [--real 16] [--seconds S] [--seed 0] [--grid NAME...]
        [--folder DIR]

A small grid for each task and regime. --kills: of commands and workers that are forked, see `tests.kills`: a
few of each grid, then of the one on which least time was spent; no more after --seconds, or Ctrl-C. --real:
then, of commands that are started anew, which costs some ten seconds each. Goal: nothing torn, nothing that
differs, as many kills as asked for; the exit code is 1 otherwise.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from tests.kills import Chains
from tests.test_metamorphic import GRIDS, Runs

LONGEST = 8
"""Kills of one command, before it is let go to its end."""

FEWEST = 4
"""Kills of each grid, before time is shared out."""

REAL = 4
"""Kills of one command that is started anew each time."""

DEFAULT = tuple({(grid.task, grid.regime): grid for grid in reversed(GRIDS)}.values())[::-1]
"""The first grid of each task and regime."""


def main() -> int:
    """Print a row for each grid, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--real", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--grid", action="append", choices=[grid.name for grid in GRIDS])
    parser.add_argument("--folder", type=Path)
    options = parser.parse_args()
    grids = [grid for grid in GRIDS if grid.name in options.grid] if options.grid else DEFAULT
    began, dice = time.monotonic(), random.Random(options.seed)
    every: list[Chains] = []
    with tempfile.TemporaryDirectory(prefix="bench-kills-", dir=options.folder) as name:
        folder = Path(name)
        runs = Runs(folder)
        try:
            for number, grid in enumerate(grids):
                every.append(Chains(folder / str(number), grid, runs.args(grid), dice))
                print(f"{time.monotonic() - began:6.0f} s  {grid.name} has run twice", flush=True)
            while kills(every) < options.kills and time.monotonic() - began < options.seconds:
                chains = min(every, key=lambda one: (kills([one]) >= FEWEST, one.spent))
                chains.chain(LONGEST if kills([chains]) >= FEWEST else FEWEST)
                faults = sum(len(one.tally.faults) for one in every)
                print(f"{time.monotonic() - began:6.0f} s  {kills(every)} kills, {faults} faults", flush=True)
            for start in range(0, options.real, REAL):
                chains = every[start // REAL * 5 % len(every)]
                chains.real_chain(min(REAL, options.real - start), 12.0 + 2 * chains.lengths[False].seconds)
        except KeyboardInterrupt:
            print("stopped")
    return said(every, options.kills)


def kills(every: list[Chains]) -> int:
    """Return how many kills were made."""
    return sum(sum(chains.tally.kills.values()) for chains in every)


def said(every: list[Chains], wanted: int) -> int:
    """Print what came of it, and return the exit code."""
    tallies = [chains.tally for chains in every]
    for tally in tallies:
        count = sum(tally.kills.values())
        print(f"{tally.grid.name}: {count} kills, {tally.runs} runs, {len(tally.faults)} faults")
    total = sum((tally.kills for tally in tallies), start=Counter[str]())
    faults = [fault for tally in tallies for fault in tally.faults]
    print(f"{sum(total.values())} kills:", ", ".join(f"{total[kind]} {kind}" for kind in sorted(total)))
    runs, cells = sum(tally.runs for tally in tallies), sum(tally.cells for tally in tallies)
    print(f"{runs} runs killed and gone on with, {cells} cells compared; {len(faults)} faults")
    spent = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    print(f"{sum(one.ru_utime + one.ru_stime for one in spent):.0f} s of processor time")
    for fault in faults:
        print(fault)
    return int(bool(faults) or sum(total.values()) < wanted)


if __name__ == "__main__":
    sys.exit(main())
