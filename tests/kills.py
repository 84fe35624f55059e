"""Kills runs at random moments, lets them go on, and compares what they store with an uninterrupted run.

Commands and their workers are forked from one process that has imported TensorFlow and never used it: a run
costs its training alone. They are killed from outside after a random time, or kill themselves, or each other,
at a random storage call (`STEPS`). Some are started anew, imports included.
"""

from __future__ import annotations

import os
import random
import select
import shutil
import signal
import subprocess
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from bench.store.read import Stored
from bench.store.verify import verify_all
from bench.store.write import SCRATCH, Store
from tests.forked import Forked, import_everything, replace_workers
from tests.test_metamorphic import Bits, Grid, bits

ROOT = Path(__file__).resolve().parents[1]

STEPS = ("open", "rename", "replace", "fsync", "mkdir", "unlink", "rmdir", "pwrite", "ftruncate", "utime")
"""Functions of `os` before or after which a process is killed."""

WORKER, COMMAND, BOTH = "worker", "command", "both"
RUNS = (
    (COMMAND,),
    (BOTH,),
    (WORKER, COMMAND),
    (WORKER, BOTH),
    (WORKER, WORKER, COMMAND),
    (WORKER, WORKER, BOTH),
)
"""Who is killed in a run, one after the other. A third worker that dies would fail its cell."""

PATIENCE = 1200.0
"""Seconds after which a run counts as hanging."""

ORPHANED = 120.0
"""Seconds within which a worker whose command was killed has to end."""


@dataclass
class Tally:
    """What came of one grid.

    kills: by who was killed and how. faults: lines about what should not have been.
    """

    grid: Grid
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    cells: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Killing:
    """Who is killed in a run, and when.

    after: seconds before the first kill and between others. steps: instead, for each kill, the storage call
    of its worker at which it comes. own: the storage call of the command at which it ends itself.
    """

    victims: tuple[str, ...] = ()
    after: tuple[float, ...] = ()
    steps: tuple[int, ...] = ()
    own: int = 0


@dataclass(frozen=True)
class Length:
    """How long an uninterrupted run takes, and how many storage calls its processes make."""

    seconds: float
    command: int
    worker: int


class Chains:
    """Runs of one grid in a folder of their own, killed and gone on with until they are done."""

    def __init__(self, folder: Path, grid: Grid, args: Sequence[str], dice: random.Random) -> None:
        """args: the command that runs the grid."""
        import_everything()
        folder.mkdir(parents=True)
        self.folder, self.tally, self.dice, self.number = folder, Tally(grid), dice, 0
        self.args, began = [*args, "--quiet"], time.monotonic()
        # What is not killed says what is right, and how long it is: with a cold cache (False) and a warm one.
        cold, results = folder / "first", folder / "plain"
        self.lengths = {False: self._measured(cold), True: self._measured(results)}
        self.plain = self._checked(results)
        if self._checked(cold) != self.plain:
            self.tally.faults.append(f"{folder}: a warm cache changes something")
        self.spent = time.monotonic() - began

    def chain(self, longest: int) -> None:
        """Run, be killed, and run again, `longest` times at most; let the last one end, and compare.

        Half of the chains begin with a cold cache.
        """
        began = time.monotonic()
        self.number += 1
        results = self.folder / f"results-{self.number}"
        cache = self.folder / ("cache" if self.dice.random() < 0.5 else f"cache-{self.number}")
        for _ in range(longest):
            if not self._forked(results, cache, self._killing(self.lengths[cache.exists()])).killed:
                break
            self._look(results)
        else:
            self._forked(results, cache, Killing())
        self._compare(results)
        self.spent += time.monotonic() - began

    def real_chain(self, count: int, seconds: float) -> None:
        """Kill so many commands that are started anew, then let one end, and compare.

        seconds: how long a command takes.
        """
        self.number += 1
        results, cache = self.folder / f"results-{self.number}", self.folder / f"cache-{self.number}"
        for _ in range(count):
            victim = self.dice.choice((WORKER, COMMAND, BOTH))
            running = self._command(results, cache)
            time.sleep(self.dice.uniform(0.1, seconds))
            workers = children(running.pid)
            if running.poll() is None and (victim == COMMAND or workers):
                kill(running.pid, victim)
                self.tally.kills[f"{victim}, started anew"] += 1
            self._wait(running)
            end = time.monotonic() + ORPHANED
            while any(Path(f"/proc/{pid}").exists() for pid in workers):
                if time.monotonic() > end:
                    self.tally.faults.append(f"{results}: a worker outlived its command")
                    break
                time.sleep(0.05)
            self._look(results)
        self._wait(self._command(results, cache))
        self._compare(results)

    def _measured(self, results: Path) -> Length:
        began = time.monotonic()
        ended = self._forked(results, self.folder / "cache", Killing())
        if WORKER not in ended.calls:
            raise RuntimeError(f"a run that nobody kills ends: see {self.folder / 'log'}")
        return Length(time.monotonic() - began, ended.calls[COMMAND], ended.calls[WORKER])

    def _killing(self, length: Length) -> Killing:
        """Choose who is killed in a run and when, by time in one run of three."""
        victims = self.dice.choice(RUNS)
        if self.dice.random() < 1 / 3:
            return Killing(victims, after=tuple(self.dice.uniform(0, 1.1 * length.seconds) for _ in victims))
        if self.dice.random() < 1 / 6:
            return Killing(own=self.dice.randint(1, length.command))
        return Killing(victims, steps=tuple(self.dice.randint(1, length.worker) for _ in victims))

    def _compare(self, results: Path) -> None:
        before = len(self.tally.faults)
        found = self._checked(results)
        self.tally.runs += 1
        self.tally.cells += len(found)
        if found != self.plain:
            other = [one for one in self.plain if found.get(one) != self.plain[one]]
            self.tally.faults.append(f"{results}: {len(other)} of {len(self.plain)} cells are not equal")
        if left := list(results.rglob(f"{SCRATCH}*")):
            self.tally.faults.append(f"{left[0]}: left behind")
        if len(self.tally.faults) == before:
            shutil.rmtree(results)
            shutil.rmtree(self.folder / f"cache-{self.number}", ignore_errors=True)

    def _checked(self, results: Path) -> Bits:
        cells = self._look(results)
        failed = [stored for stored in cells if not stored.ok]
        self.tally.faults += [f"{one.folder}: {one.record['reason']}" for one in failed]
        return bits(stored for stored in cells if stored.ok)

    def _look(self, results: Path) -> list[Stored]:
        """Return the stored cells; each that is torn, or whose numbers do not follow, is a fault."""
        cells, problems = Store(results).load()
        done = verify_all([stored.folder for stored in cells], 1)
        problems += [one.problem for one in done if one.problem]
        problems += [f"{one.folder}: {one.findings[0]}" for one in done if one.findings]
        self.tally.faults += problems
        return cells

    def _forked(self, results: Path, cache: Path, killing: Killing) -> Ended:
        """Run the command in forked processes, kill as is asked, and return when all of them are gone."""
        args = [*self.args, "--results", str(results), "--cache", str(cache)]
        ended = watched(args, killing, self.folder / "log")
        for victim in ended.victims:
            self.tally.kills[f"{victim} {'after a time' if killing.after else 'at a storage call'}"] += 1
        self.tally.faults += [f"{results}: {fault}" for fault in ended.faults]
        return ended

    def _command(self, results: Path, cache: Path) -> subprocess.Popen[bytes]:
        places = ("--results", str(results), "--cache", str(cache))
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "bench", *self.args, *places], stdout=log, stderr=log, cwd=ROOT
            )

    def _wait(self, running: subprocess.Popen[bytes]) -> None:
        try:
            running.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            running.kill()
            self.tally.faults.append(f"{self.folder}: a command did not end within {PATIENCE:.0f} s")


def children(pid: int) -> list[int]:
    """Return the processes that a process has started and that are not gone."""
    try:
        text = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    except OSError:
        return []
    return [int(one) for one in text.split()]


def kill(command: int, victim: str) -> None:
    """Kill a command, its worker, or both, the worker first."""
    for pid in [*([] if victim == COMMAND else children(command)), *([] if victim == WORKER else [command])]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@dataclass
class Ended:
    """What became of a run in forked processes.

    victims: who was killed. calls: storage calls, by process.
    """

    victims: list[str] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    @property
    def killed(self) -> bool:
        """Tell whether the command was."""
        return any(victim != WORKER for victim in self.victims)


def watched(args: Sequence[str], killing: Killing, log: Path) -> Ended:
    """Run a command in forked processes, kill as is asked, and return when all of them are gone."""
    reading, writing = os.pipe()
    sys.stdout.flush()
    command = os.fork()
    if not command:
        os.close(reading)
        run(args, killing, writing, log)
    os.close(writing)
    ended, text, pending = Ended(), b"", list(zip(killing.victims, killing.after, strict=False))
    now = time.monotonic()
    due, end = now + (pending[0][1] if pending else PATIENCE), now + PATIENCE
    # The pipe ends when the last process that holds it does.
    while True:
        if select.select([reading], [], [], max(0.0, min(due, end) - time.monotonic()))[0]:
            if not (part := os.read(reading, 1 << 16)):
                break
            text += part
            continue
        now = time.monotonic()
        if now >= end:
            ended.faults.append("a process did not end in time")
            for pid in [*children(command), command, *_workers(text)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            end = now + PATIENCE
        elif pending and (pending[0][0] == COMMAND or children(command)):
            victim, _ = pending.pop(0)
            kill(command, victim)
            ended.victims.append(victim)
            due = now + (pending[0][1] if pending else PATIENCE)
            end = now + (PATIENCE if victim == WORKER else ORPHANED)
        elif pending:
            # It has no worker, or none yet.
            due = now + 0.005
    os.close(reading)
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    for line in text.decode("ascii").splitlines():
        kind, *values = line.split()
        if kind == "killed":
            ended.victims += values
        elif kind in (COMMAND, WORKER):
            ended.calls[kind] = int(values[0])
    if killing.after and status == 0:
        # Whoever had ended by then was not killed.
        ended.victims = [victim for victim in ended.victims if victim == WORKER]
    if status != (-signal.SIGKILL if ended.killed else 0):
        ended.faults.append(f"ended with {status}")
    return ended


def _workers(text: bytes) -> list[int]:
    return [int(line.split()[1]) for line in text.decode("ascii").splitlines() if line.startswith("started")]


def run(args: Sequence[str], killing: Killing, told: int, log: Path) -> NoReturn:
    """Be the command: its worker is forked too; tell of both in lines of `told`, and end the process."""
    from bench.commands.main import cli

    code: int = 70
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        steps = Steps(told)
        steps.set(COMMAND, killing.own, COMMAND)
        kills = iter(zip(killing.victims, killing.steps, strict=False))

        def start(env: dict[str, str]) -> Forked:
            victim, fatal = next(kills, (WORKER, 0))
            return Forked(env, partial(_work, steps, fatal, victim), keep=(told,))

        replace_workers(start)
        code = cli.main(list(args), standalone_mode=False) or 0
        steps.tell(f"{COMMAND} {steps.count}")
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


def _work(steps: Steps, fatal: int, victim: str) -> None:
    """Be a worker."""
    steps.set(WORKER, fatal, victim)
    steps.tell(f"started {os.getpid()}")
    from bench.runs.worker import main

    main()
    steps.tell(f"{WORKER} {steps.count}")


class Steps:
    """Counts calls of `STEPS` in a process, and kills it, or its parent, before or after one of them."""

    def __init__(self, told: int) -> None:
        """told: where lines about it are written."""
        self.told = told
        self.set(COMMAND, 0, COMMAND)
        for name in STEPS:
            setattr(os, name, self._counted(getattr(os, name)))

    def set(self, own: str, fatal: int, victim: str) -> None:
        """Count anew, in the process `own`, and kill the victim at that count; never where it is 0."""
        self.own, self.count, self.fatal, self.victim = own, 0, fatal, victim

    def tell(self, line: str) -> None:
        """Write a line."""
        os.write(self.told, f"{line}\n".encode("ascii"))

    def _counted(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **more: Any) -> Any:
            self._step()
            try:
                return function(*args, **more)
            finally:
                self._step()

        return call

    def _step(self) -> None:
        self.count += 1
        if self.count != self.fatal:
            return
        self.tell(f"killed {self.victim}")
        if self.own == WORKER and self.victim != WORKER:
            os.kill(os.getppid(), signal.SIGKILL)
        if self.own == self.victim or self.victim == BOTH:
            os.kill(os.getpid(), signal.SIGKILL)
