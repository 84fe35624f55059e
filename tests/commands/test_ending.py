"""How a run ends: a ranking of each stage, one sentence, warnings, commands; 40 lines at most."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest
from rich.cells import cell_len

from bench.commands.ending import MOST_LINES, print_ending
from bench.commands.main import cli
from bench.commands.output import COLUMNS
from bench.core.errors import BenchError
from bench.store.write import Store
from tests.commands.test_main import cells_of
from tests.grids import answers, attributes, faces, grid, put

METHODS = {"none": 0.4, "oversample+class_weight": 0.8, "focal": 0.4, "logit_adjust": 0.7, "smote": 0.5}


def ending(
    root: Path, capsys: pytest.CaptureFixture[str], task: str = "fashion", fmt: str = "table"
) -> tuple[str, str]:
    print_ending(Store(root), cells_of(root, task), None, fmt, str(root))
    return capsys.readouterr()


@pytest.fixture(params=["80", "100", ""])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """The terminal's width; the largest number for no terminal."""
    monkeypatch.setenv("COLUMNS", request.param)
    return int(request.param or 10**9)


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stages of ten settings."""
    root = tmp_path_factory.mktemp("large")
    for stage in ("top20", "remaining"):
        grid(root, METHODS, (0,), ("mobilenet_025", "mobilenetv2_035"), n=90, stage=stage)
    return root


def test_a_large_grid_ends_in_forty_lines(
    large: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    out, err = ending(large, capsys)
    lines = out.rstrip("\n").split("\n")
    assert len(lines) <= MOST_LINES == 40 and not err
    # The commands hold the folder's long name.
    assert all(cell_len(line) <= width for line in lines[: lines.index("Next:")])
    for stage in ("top20", "remaining"):
        assert f"fashion {stage}: top-1 macro on 90 test images" in lines
    text = " ".join(out.split())
    assert text.count("top-1 macro relative to none; the effects of ") == 2
    assert "settings below: bench leaderboard --task fashion" in text
    assert "Warning: leak in top20: 1 of 200 test images are also in train" in text
    assert "bench compare --task fashion" in text and "bench report --task fashion" in text


def test_many_stages_end_in_forty_lines_too(
    tmp_path: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(9):
        grid(tmp_path, {"none": 0.5, "focal": 0.5}, seeds=(0,), n=60, stage=f"stage{number}")
    out, _ = ending(tmp_path, capsys)
    assert out.count("\n") <= MOST_LINES and "fashion stage0: " in out
    assert "more rankings: bench leaderboard --task fashion" in out


def test_the_setting_chosen_on_validation_is_marked_and_the_next_command_shows_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is shown though it ranks last on test, where there is room for few."""
    monkeypatch.setenv("COLUMNS", "80")
    like, good, bad = answers(200, 8, 0.5, 99), answers(60, 8, 0.9, 1), answers(60, 8, 0.1, 2)
    for place, backbone in enumerate(f"vgg{place}" for place in range(30)):
        last = place == 29
        test = answers(200, 8, 0.1 if last else 0.7, place, like)
        chosen = put(tmp_path, test, backbone=backbone, val=good if last else bad)
    out, _ = ending(tmp_path, capsys)
    [row] = [line for line in out.split("\n") if re.match(r" +\d+  .*  \*( |$)", line)]
    assert row.split()[:2] == ["30", "vgg29"]
    assert f"bench show {chosen[:8]}" in out
    assert cli.main(["show", chosen[:8], "--results", str(tmp_path)], standalone_mode=False) == 0
    assert "class 0" in capsys.readouterr().out


def test_one_setting_says_so_and_names_what_to_try(
    tmp_path: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(tmp_path, {"none": 0.5}, seeds=(0,), n=60)
    out, _ = ending(tmp_path, capsys)
    assert "Only one setting was run" in out and "bench list methods --kind multiclass" in out
    assert "with one seed they do not cover variation between seeds" in " ".join(out.split())


def test_every_kind_of_task_has_an_ending(
    tmp_path: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs, cells = faces(200, 40, 1.0, 9), attributes(150, 6, 1.0, 9)
    for seed, (method, skill) in enumerate({"cosine": 1.0, "lda": 2.5}.items()):
        test = faces(200, 40, skill, seed, pairs)
        put(tmp_path, test, method=method, task="faces", kind="verification", stage="all")
    for seed, (method, skill) in enumerate({"none": 0.3, "asl": 1.5}.items()):
        test = attributes(150, 6, skill, seed, cells)
        put(tmp_path, test, method=method, task="multilabel", kind="multilabel", stage="all")
    out, err = ending(tmp_path, capsys, "faces")
    assert "faces all: AUC on 200 test pairs" in out and "constant" in out and not err
    assert "improves AUC relative to cosine" in out
    out, err = ending(tmp_path, capsys, "multilabel")
    assert "multilabel all: AUC macro on 150 test images" in out and "prior" in out and not err
    assert "improves AUC macro relative to none" in out


def test_an_unreadable_cell_is_named_and_the_others_are_ranked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.8}, seeds=(0,), n=60)
    path = next(tmp_path.rglob("focal/**/predictions.parquet"))
    path.write_bytes(b"x" * path.stat().st_size)
    out, err = ending(tmp_path, capsys)
    assert str(path) in err and err.count("\n") == 1
    assert "Only one setting was run" in out


@pytest.mark.parametrize("fmt", ["csv", "json", "md"])
def test_other_formats_have_the_means_and_the_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fmt: str
) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.8}, n=60)
    out, _ = ending(tmp_path, capsys, fmt=fmt)
    assert "class 0" in out and ("top1_macro_sd" in out or "±" in out) and "Next:" not in out


@pytest.mark.parametrize("fmt", ["table", "json"])
def test_answers_that_were_changed_are_named_and_left_out(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fmt: str
) -> None:
    grid(tmp_path, {"none": 0.5, "focal": 0.8}, seeds=(0,), n=60)
    assert "focal" in ending(tmp_path, capsys, fmt=fmt)[0]
    focal, none = sorted(tmp_path.glob("*/*/*/*/predictions.parquet"))
    for path in (focal, none):
        path.write_bytes(path.read_bytes()[:-1] + b"?")
        assert not print_ending(Store(tmp_path), cells_of(tmp_path, "fashion"), None, fmt, str(tmp_path))
        out, err = capsys.readouterr()
        assert f"{path}: cannot be read (it was changed" in err and "focal" not in out
        assert ("lenet" in out) is (path == focal)


@pytest.mark.parametrize("fmt", ["table", "csv"])
def test_columns_of_a_run_are_checked_before_it_trains(
    fmt: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def trained(*args: object) -> None:
        raise AssertionError("it trains")

    monkeypatch.setattr("bench.runs.launch.execute", trained)
    places = ["--results", str(tmp_path / "r"), "--cache", str(tmp_path / "c"), "--format", fmt]
    grid_ = ["run", "--task", "fashion", "--sample", "tiny", "--backbone", "lenet", "--seed", "0", *places]
    with pytest.raises(BenchError, match="unknown column 'methd'; did you mean 'method'"):
        cli.main([*grid_, "--columns", "methd"], standalone_mode=False)
    with pytest.raises(AssertionError, match="it trains"):
        cli.main([*grid_, "--columns", "method,setting"], standalone_mode=False)


def test_columns_that_are_empty_this_time_are_left_out(
    tmp_path: Path, width: int, capsys: pytest.CaptureFixture[str]
) -> None:
    grid(tmp_path, {"none": 0.5}, seeds=(0,), n=60)
    with click.Context(click.Command("run")) as context:
        context.meta[COLUMNS] = ("method", "setting")
        out, _ = ending(tmp_path, capsys)
    assert "method" in out and "setting" not in out.split("\n")[1]
