"""How the report acts in a headless browser: skipped where there is none."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from bench.commands.main import cli
from bench.report.html import INDEX
from tests.grids import faces, put
from tests.report.pages import EVIL, Seen, report

BROWSER = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None
)


DRIVER = """
const seen = {errors: [], violations: []};
window.addEventListener("error", (event) => seen.errors.push(String(event.message)));
document.addEventListener("securitypolicyviolation", (event) => seen.violations.push(event.blockedURI));
const complain = console.error;
console.error = (...words) => { seen.errors.push(words.join(" ")); complain(...words); };
window.alert = () => seen.errors.push("alert");
window.addEventListener("load", () => {
  const column = (table, index) => Array.from(table.tBodies[0].rows, (row) => row.cells[index].textContent);
  const tables = Array.from(document.querySelectorAll("table"));
  const table = tables.find((one) => one.caption.textContent.includes("ranked by"));
  const heads = Array.from(table.tHead.lastElementChild.cells);
  const index = heads.findIndex((head) => head.textContent.startsWith("RANKING"));
  const button = heads[index].querySelector("button");
  seen.before = column(table, index);
  button.focus();
  seen.focused = document.activeElement === button && getComputedStyle(button).outlineWidth;
  button.click();
  seen.falling = column(table, index);
  seen.sorted = heads[index].getAttribute("aria-sort");
  button.click();
  seen.rising = column(table, index);
  seen.sorts = heads.filter((head) => head.hasAttribute("aria-sort")).length;
  seen.buttons = heads.filter((head) => head.querySelector("button")).length - heads.length;
  const input = document.querySelector(".filter input");
  const long = input.closest(".filter").nextElementSibling.querySelector("table");
  input.value = long.tBodies[0].rows[0].cells[1].textContent;
  input.dispatchEvent(new Event("input"));
  seen.kept = Array.from(long.tBodies[0].rows).filter((row) => !row.hidden).length;
  seen.rows = long.tBodies[0].rows.length;
  seen.wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  seen.broken = Array.from(document.images).filter((image) => !image.naturalWidth).length;
  seen.requests = performance.getEntriesByType("resource").map((entry) => entry.name)
    .filter((name) => !name.startsWith("data:"));
  seen.evil = Array.from(document.querySelectorAll("th, td"), (cell) => cell.textContent)
    .filter((words) => words === "<script>" + "alert(1)</" + "script>").length;
  seen.scripts = document.scripts.length;
  document.documentElement.dataset.seen = JSON.stringify(seen);
});
"""


AXE_DRIVER = """
window.addEventListener("load", async () => {
  const seen = {};
  const found = await axe.run(document, {resultTypes: ["violations"]});
  seen.violations = found.violations.map(({id, nodes}) => [id, nodes.map((node) => node.html).slice(0, 3)]);
  seen.passes = found.passes.map(({id}) => id);
  seen.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.seen = JSON.stringify(seen);
});
"""

LIGHT, DARK = "--blink-settings=preferredColorScheme=1", "--blink-settings=preferredColorScheme=0"


@pytest.fixture
def drive(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Open a page in a headless browser with scripts in front of its own; return what the last one saw."""
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser, google-chrome or chrome on PATH")

    def open_page(text: str, scripts: Sequence[str], *flags: str) -> dict[str, Any]:
        digests = (base64.b64encode(hashlib.sha256(one.encode()).digest()).decode() for one in scripts)
        allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
        driven = text.replace("script-src ", f"script-src {allowed} ", 1)
        inserted = "".join(f"<script>{script}</script>" for script in scripts)
        driven = driven.replace("<title>", f"{inserted}<title>", 1)
        page = tmp_path / "page.html"
        page.write_text(driven, encoding="utf-8")
        command = [
            *(str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--timeout=20000"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", *flags, "--dump-dom", page.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)
        found = dict(Seen(done.stdout).tags)["html"]["data-seen"]
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return {**json.loads(str(found)), "console": said}

    return open_page


@pytest.fixture
def browse(drive: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Sort and filter the tables of a page; return what the driver saw. ranking: a column of the ranking."""
    return lambda text, ranking, *flags: drive(text, [DRIVER.replace("RANKING", ranking)], *flags)


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("page, ranking", [("text", "top-1 macro"), ("many", "AUC macro")])
def test_in_a_browser_tables_sort_and_nothing_is_asked_for(
    browse: Callable[..., dict[str, Any]], request: pytest.FixtureRequest, page: str, ranking: str, width: int
) -> None:
    seen = browse(request.getfixturevalue(page), ranking, f"--window-size={width},900")
    assert seen["errors"] == [] and seen["violations"] == [] and seen["requests"] == []
    assert seen["console"] == []
    # The interval stands behind its value.
    numbers = [float(value.split()[0]) for value in seen["falling"] if value.strip() != "–"]
    assert len(numbers) > 3 and numbers == sorted(numbers, reverse=True)
    rising = [float(value.split()[0]) for value in seen["rising"] if value.strip() != "–"]
    assert rising == sorted(numbers) and seen["sorted"] == "descending"
    assert seen["sorts"] == 1 and seen["buttons"] == 0, "every head is a button, one column sorts"
    assert seen["focused"] == "3px", "the keyboard reaches a head, and it shows"
    assert 0 < seen["kept"] < seen["rows"] and seen["broken"] == 0
    assert seen["evil"] > 0 and seen["scripts"] == 2, "a class called like a script is text"
    assert seen["wide"] <= 0, "the page is wider than its window"


def test_in_a_browser_a_script_from_data_would_be_blocked(
    browse: Callable[..., dict[str, Any]], text: str
) -> None:
    seen = browse(text.replace("</main>", f"{EVIL}</main>", 1), "top-1 macro")
    assert seen["violations"] == ["inline"] and "alert" not in seen["errors"]


BLANK = b'<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'


@pytest.fixture(scope="module")
def undrawn() -> Iterator[None]:
    """Leave plots blank: drawing takes long and is not looked at here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "bench.report.html.rendered", lambda draw, theme, formats: dict.fromkeys(formats, BLANK)
        )
        yield


@pytest.fixture(scope="module")
def pairs(undrawn: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Make a report of pairs of photos and return its text."""
    root, like = tmp_path_factory.mktemp("pairs"), faces(120, 12, 0.0, 9, folds=2)
    for method, skill in (("cosine", 0.7), ("siamese", 1.5)):
        pred = faces(120, 12, skill, 1, like, folds=2)
        put(root, pred, kind="verification", method=method, task="faces", stage="all")
    assert report(root, root / "out").return_value == 0
    return (root / "out" / INDEX).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def described(undrawn: None, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Describe a synthetic sample and return the text of its page."""
    out = tmp_path_factory.mktemp("described")
    args = ["data", "describe", "--task", "marketplace", "--sample", "tiny", "--out", str(out)]
    done = CliRunner().invoke(cli, [*args, "--cache", str(out / "cache")], standalone_mode=False)
    assert done.exception is None, done.output
    return (out / INDEX).read_text(encoding="utf-8")


def axe() -> str:
    """Return axe-core's script."""
    package = find_spec("axe_core_python")
    assert package is not None and package.origin is not None
    return (Path(package.origin).parent / "axe.min.js").read_text(encoding="utf-8")


# The clock of the page runs ahead while nothing happens, so that the browser waits for axe-core alone.
WAIT = "--virtual-time-budget=60000"


@pytest.mark.parametrize(
    "page, scheme",
    [
        ("text", LIGHT),
        ("text", DARK),
        ("many", LIGHT),
        ("pairs", LIGHT),
        ("described", LIGHT),
        ("described", DARK),
    ],
)
def test_axe_core_finds_no_violation(
    drive: Callable[..., dict[str, Any]], request: pytest.FixtureRequest, page: str, scheme: str
) -> None:
    seen = drive(request.getfixturevalue(page), [axe(), AXE_DRIVER], scheme, WAIT)
    assert seen["dark"] == (scheme == DARK)
    assert {"color-contrast", "heading-order", "scope-attr-valid", "label", "image-alt"} <= {*seen["passes"]}
    assert seen["violations"] == []


def test_axe_core_finds_a_picture_without_text_and_pale_words(drive: Callable[..., dict[str, Any]]) -> None:
    style = "<style>p { color: #cccccc; background: #ffffff }</style>"
    text = f"<!DOCTYPE html><html lang=en><head><title>t</title>{style}</head><main><h1>t</h1><p>pale</p>"
    seen = drive(f'{text}<img src="data:,"></main></html>', [axe(), AXE_DRIVER], LIGHT, WAIT)
    assert {rule for rule, _ in seen["violations"]} == {"color-contrast", "image-alt"}
