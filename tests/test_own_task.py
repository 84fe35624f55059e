"""The page that tells how to add a task: its own card and its own commands, on a tiny folder of photos."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import pytest
from capture import environment, run
from PIL import Image

from bench.data.survey import DataQuery, survey
from bench.data.synthetic.marketplace import marketplace_sample, write_listings
from bench.data.task_card import load_card
from tests import forked

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "own-task.md").read_text(encoding="utf-8")

COLORS = {"Bag": (200, 40, 40), "Dress": (40, 200, 40), "Hat": (40, 40, 200), "<script>": (200, 200, 40)}


def blocks(language: str) -> list[str]:
    """Return the code of the page that is marked as of this language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def commands(name: str) -> list[list[str]]:
    """Return the arguments of every `bench NAME` that the page types for its own card."""
    lines = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    return [line[1:] for line in lines if line[:2] == ["bench", name] and "wardrobe" in line]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Do what the page asks for: a folder for each class of photos, and the page's own task.toml."""
    desk = tmp_path_factory.mktemp("desk")
    rng = np.random.default_rng(0)
    for name, color in COLORS.items():
        folder = desk / "photos" / name
        folder.mkdir(parents=True)
        for number in range(15):
            pixels = np.clip(np.array(color) + rng.normal(0, 20, (24, 24, 3)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(folder / f"{number}.png")
    (card,) = blocks("toml")
    (desk / "tasks" / "wardrobe").mkdir(parents=True)
    (desk / "tasks" / "wardrobe" / "task.toml").write_text(card, encoding="utf-8")
    return desk


def bench(desk: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """Run the command in the user's folder, as the user does."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BENCH_")}
    environment = {**kept, "PYTHONPATH": str(ROOT), "BENCH_CACHE": str(desk / "cache")}
    return forked.run(args, desk, environment)


def test_the_card_is_thirty_lines_and_sound(desk: Path) -> None:
    (card,) = blocks("toml")
    assert len(card.splitlines()) <= 30
    assert load_card("wardrobe", [desk / "tasks"]).grids["data"].backbones == ("lenet",)


def test_the_page_shows_what_is_found_in_the_photos_it_draws(tmp_path: Path) -> None:
    write_listings(marketplace_sample("small"), tmp_path / "photos")
    shown = " ".join(PAGE.split())
    for roles in ({}, {"group": "sender"}):
        found = survey(DataQuery(tmp_path / "photos", ("category",), roles=roles))
        assert all(" ".join(note.split()) in shown for note in found.notes), found.notes
    lines = [line for block in blocks("sh") for line in block.splitlines() if "init" in line]
    assert [shlex.split(line)[1:] for line in lines] == [
        ["init", "photos", "--label", "category", "--column", "group=sender"]
    ]


def test_the_first_command_of_the_page_needs_no_card(desk: Path) -> None:
    lines = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert lines[0] == ["bench", "run", "--data", "photos"]
    done = bench(desk, "plan", *lines[0][2:], "--backbone", "grey")
    assert done.returncode == 0 and "photos: 60 photos in 4 class folders" in done.stderr, done.stderr
    assert "9 to run, 0 stored" in done.stdout


def test_the_page_plans_what_it_says(desk: Path) -> None:
    (args,) = commands("plan")
    done = run(shlex.join(["bench", *args]), desk, environment(desk / "cache"))
    assert done.code == 0, done.errors
    shown = PAGE[PAGE.index("    Plan of wardrobe") :].split("\n\n")[0].splitlines()
    told = [line.split() for line in done.lines]
    # The ids are of other photos; all else is as the page has it.
    rows = [line for line in told if "to" in line]
    assert [line[1:] for line in rows[:-1]] == [line.split()[1:] for line in shown[3:-2]]
    assert [" ".join(line) for line in told[-2:]] == [line.strip() for line in shown[-2:]]


def test_the_page_runs_on_a_folder_for_each_class(desk: Path) -> None:
    (args,) = commands("run")
    done = bench(desk, *args, "--set", "epochs=2", "--seed", "0")
    assert done.returncode == 0, done.stderr
    assert "wardrobe all: top-1 macro" in done.stdout
    [cell] = re.findall(r"bench show (\w+)", done.stdout)
    assert "<script>" in bench(desk, "show", cell).stdout
    for name in ("compare", "leaderboard"):
        (args,) = commands(name)
        said = bench(desk, *args)
        assert said.returncode == 0, said.stderr
        assert "wardrobe" in said.stdout and "top-1" in said.stdout


def test_every_command_of_the_page_is_one(desk: Path) -> None:
    lines = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    assert lines and all(line[0] == "bench" for line in lines)
    names = {tuple(line[1:3]) if line[1] == "data" else (line[1],) for line in lines}
    for name in sorted(names):
        options = bench(desk, *name, "--help").stdout
        used = {
            word for line in lines if line[1 : 1 + len(name)] == [*name] for word in line if word[:2] == "--"
        }
        assert used <= set(re.findall(r"--[a-z-]+", options)), name
