"""Documentation: every command that it shows exists, and the site builds from it without a broken link."""

from __future__ import annotations

import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import click
import pytest
from capture import Printed, environment, run
from doc_pages import blocks, pages, runnable, shown
from effects import METRICS, read
from methods_page import page, read_details
from renew import renewed
from site_hook import relink
from terminal import picture

from bench.commands.main import cli
from bench.core.errors import BenchError
from bench.core.protocol import KEYS
from bench.methods.grammar import parse_methods
from bench.methods.registry import STEPS

ROOT = Path(__file__).resolve().parents[1]

OPEN = {"...", "DIR", "FILE", "CELL", "TASK", "METHOD", "NAME", "SHELL"}
"""Words that stand for something of the reader's."""


@cache
def command(*names: str) -> click.Command | None:
    """Return the command of this name, or None."""
    found: click.Command = cli
    for name in names:
        below = found.get_command(click.Context(found), name) if isinstance(found, click.Group) else None
        if below is None:
            return None
        found = below
    return found


def faults(words: list[str]) -> list[str]:
    """Return what is wrong with a command line: unknown commands, options, protocol keys and methods."""
    found: click.Command = cli
    rest, names = words[1:], list[str]()
    while isinstance(found, click.Group) and rest and not rest[0].startswith("-"):
        name, rest = rest[0], rest[1:]
        if name in OPEN or name == "COMMAND":
            return []
        one = [command(*names, part) for part in name.split("|")]
        if None in one:
            return [f"no command {name!r}"]
        names.append(name.split("|")[0])
        found = one[0] or found
    context = click.Context(found, info_name="bench")
    rest = [word for word in rest if word not in ("...", "[OPTIONS]")]
    try:
        values, _, _ = found.make_parser(context).parse_args(rest)
    except click.UsageError as error:
        return [] if error.message.endswith("requires an argument.") else [error.message]
    # A plug-in's methods are not known here.
    methods = [] if values.get("plugins") else values.get("method") or []
    given = [methods] if isinstance(methods, str) else methods
    return [
        *_unknown_keys(values.get("sets", [])),
        *(fault for one in given for fault in _unknown_methods(one)),
    ]


def _unknown_keys(sets: list[str]) -> list[str]:
    keys = [pair.partition("=")[0].rpartition(".")[2] for pair in sets]
    return [f"no protocol key {key!r}" for key in keys if key not in (*KEYS, "KEY", "protocol")]


def _unknown_methods(text: str) -> list[str]:
    text = text.replace(",...", "")
    if text in OPEN or "TEXT" in text:
        return []
    try:
        parse_methods(text)
    except BenchError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("path", pages(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_command_shown_exists_with_its_options_keys_and_methods(path: Path) -> None:
    found = [
        f"{path.name}:{number}: {' '.join(words)}: {fault}"
        for number, words in shown(path.read_text(encoding="utf-8"))
        for fault in faults(words)
    ]
    assert not found


def test_a_wrong_command_option_key_or_method_is_found() -> None:
    text = """`bench lost --task x`
`bench run --tsk x` and `bench data check|descry`

    bench run --task fashion --set epoch=5 \\
        --method none,focla     # a comment

```sh
bench run --task fashion --set epochs=5 --method "none,focal(gamma=2)+oversample,..."
```
"""
    lines = [(number, faults(words)) for number, words in shown(text)]
    assert [number for number, _ in lines] == [1, 2, 2, 4, 8]
    assert [len(found) for _, found in lines] == [1, 1, 1, 2, 0]


def test_every_page_with_blocks_that_run_has_output_of_them() -> None:
    for path in runnable():
        found = blocks(path.read_text(encoding="utf-8"))
        assert any(not block.why for block in found), path


@pytest.mark.slow
@pytest.mark.parametrize("path", runnable(), ids=lambda path: path.stem)
def test_every_block_of_the_page_runs_from_top_to_bottom(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    for block in blocks(path.read_text(encoding="utf-8")):
        if block.why:
            continue
        done = run(block.code, folder, environment(tmp_path / "cache"))
        assert done.code == 0, f"{block.code}\n{done.errors}"
        if block.output:
            assert _shape(done.lines[0]) == _shape(block.output), block.code


def _shape(text: str) -> str:
    """Return the first line without what differs between machines: digits, and how far columns are apart."""
    return " ".join(re.sub(r"[\d.]+", " ", text.partition("\n")[0]).split())


def test_the_page_of_methods_has_every_step_with_its_formula_and_paper() -> None:
    text = page()
    parts = dict(part.split("\n", 1) for part in text.split("\n### ")[1:])
    assert parts.keys() == STEPS.keys() == read_details().keys()
    for name, info in STEPS.items():
        assert "<math" in parts[name] and info.paper in parts[name]
        assert all(f"| `{param.name}` |" in parts[name] for param in info.params)


def test_effects_are_of_steps_and_lie_in_their_intervals() -> None:
    effects = read()
    assert effects.keys() <= STEPS.keys()
    for step, places in effects.items():
        for place, found in places.items():
            task = place.split()[0].strip(",")
            assert {one.metric for one in found} <= {*METRICS[task].values()}, step
            assert all(float(one.low) <= float(one.effect) <= float(one.high) for one in found if one.low), (
                step
            )


def test_links_of_a_page_from_elsewhere_point_into_the_site() -> None:
    text = "[a](docs/own-task.md#run-it) ![b](docs/report.png) [c](https://x.y/docs/z.md)"
    assert relink(text, "index.md") == "[a](own-task.md#run-it) ![b](report.png) [c](https://x.y/docs/z.md)"
    assert relink("[d](tasks/faces/README.md)", "index.md") == "[d](tasks/faces.md)"
    assert (
        relink("[a](../../docs/decisions.md) [b](#c)", "tasks/fashion.md") == "[a](../decisions.md) [b](#c)"
    )
    assert relink("[a](../tasks/faces/README.md)", "published.md") == "[a](tasks/faces.md)"


OUTWARD = re.compile(
    r"""<(?:script|img|iframe|source)[^>]+src=["']?(?:https?:)?//|<link[^>]+href=["']?(?:https?:)?//(?![^>]*canonical)"""
    r"""|url\(["']?(?:https?:)?//|@import\s+["'](?:https?:)?//"""
)
"""What a browser would fetch from another machine."""


@pytest.mark.slow
def test_the_site_builds_strictly_and_fetches_nothing_from_elsewhere(tmp_path: Path) -> None:
    made = tmp_path / "site"
    build = (sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(made))
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    files = [path for path in made.rglob("*") if path.suffix in (".html", ".css", ".svg")]
    outward = [path.name for path in files if OUTWARD.search(path.read_text(encoding="utf-8"))]
    assert len(files) > 30 and not outward
    assert "focal" in (made / "reference" / "methods.html").read_text(encoding="utf-8")
    assert "--fail-on-regression" in (made / "reference" / "cli.html").read_text(encoding="utf-8")
    assert "bench.api.run.run" in (made / "reference" / "python.html").read_text(encoding="utf-8")


def test_the_picture_of_a_terminal_has_the_output_and_fetches_no_font() -> None:
    done = Printed(0, "\x1b[1mtop-1\x1b[0m .839 ±.011\nsecond <line>\n\nfourth\n", "")
    made = picture(done)
    assert "top-1" in made and "second" in made and "&lt;line&gt;" in made
    assert not OUTWARD.search(made) and "font-face" not in made


def test_blocks_of_a_page_and_the_outputs_that_follow_them(tmp_path: Path) -> None:
    text = (
        "<!-- not run: needs photos -->\n```sh\nfalse\n```\n\n"
        "```sh\necho one; echo two >&2\n```\n\nwords\n\n"
        "```sh\nseq 3\n```\n\n<!-- output: 2 -->\n```text\n9\n```\nend\n"
    )
    found = blocks(text)
    assert [(block.why, block.output) for block in found] == [("needs photos", None), ("", None), ("", "9\n")]
    assert renewed(text, tmp_path, tmp_path).endswith("<!-- output: 2 -->\n```text\n1\n2\n...\n```\nend\n")
    with pytest.raises(SystemExit, match="exit 3"):
        renewed("```sh\nexit 3\n```\n", tmp_path, tmp_path)
