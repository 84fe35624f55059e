"""A grid on several machines: shards run apart and merged are, bit for bit, the grid of one machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.commands.main import cli
from bench.store.write import Store
from tests.in_process import InProcess, content

pytest.importorskip("tensorflow")

GRID = (
    *("run", "--task", "fashion", "--sample", "tiny", "--regime", "frozen", "--weights", "random"),
    *("--backbone", "lenet,tfidf", "--method", "none,class_weight", "--seed", "0-1", "--set", "epochs=2"),
)
SHARDS = 3


def bits(root: Path) -> dict[str, dict[str, bytes]]:
    cells, problems = Store(root).load()
    assert not problems
    return {stored.id: content(stored) for stored in cells}


@pytest.mark.slow
def test_three_shards_on_three_machines_are_the_run_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = InProcess(tmp_path, monkeypatch)
    inside.bench(*GRID, "--quiet", results="one", cache="cache")
    sizes = []
    for number in range(1, SHARDS + 1):
        options = ("--shard", f"{number}/{SHARDS}", "--quiet")
        sizes.append(len(inside.bench(*GRID, *options, results=f"shard-{number}", cache=f"cache-{number}")))
        assert inside.code == 0
    assert sum(sizes) == 16 and min(sizes) > 0
    shards = [str(tmp_path / f"shard-{number}") for number in range(1, SHARDS + 1)]
    code = cli.main(["merge", *shards, "--into", str(tmp_path / "all")], standalone_mode=False)
    assert code == 0
    assert bits(tmp_path / "all") == bits(tmp_path / "one")
    capsys.readouterr()
    monkeypatch.setattr("bench.runs.launch.execute", None)
    inside.bench(*GRID, results="all", cache="cache")
    assert "nothing to do: all 16 cells are stored" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["run", "plan"])
def test_a_shard_without_a_cell_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setattr("bench.runs.launch.execute", None)
    args = [command, *GRID[1:], "--shard", "9/9", "--results", str(tmp_path / "results")]
    assert cli.main([*args, "--cache", str(tmp_path / "cache")], standalone_mode=False) == 0
    assert "shard 9/9 is empty: 16 cells fill fewer than 9 shards" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
