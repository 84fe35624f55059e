"""How the report acts in a headless browser: skipped where there is none."""

from __future__ import annotations

import base64
import hashlib
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.report.pages import EVIL, Seen

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
  const heads = Array.from(table.tHead.rows[0].cells);
  const index = heads.findIndex((head) => head.textContent.startsWith("RANKING"));
  const button = heads[index].querySelector("button");
  seen.before = column(table, index);
  button.click();
  seen.falling = column(table, index);
  seen.sorted = heads[index].getAttribute("aria-sort");
  button.click();
  seen.rising = column(table, index);
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


@pytest.fixture
def browse(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Open a page in a headless browser with a driver in front of its own script; return what that saw."""
    if BROWSER is None:
        pytest.skip("no chromium, chromium-browser, google-chrome or chrome on PATH")

    def open_page(text: str, ranking: str, *flags: str) -> dict[str, Any]:
        driver = DRIVER.replace("RANKING", ranking)
        digest = base64.b64encode(hashlib.sha256(driver.encode()).digest()).decode()
        driven = text.replace("script-src ", f"script-src 'sha256-{digest}' ", 1)
        driven = driven.replace("<title>", f"<script>{driver}</script><title>", 1)
        page = tmp_path / "page.html"
        page.write_text(driven, encoding="utf-8")
        command = [
            *(str(BROWSER), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"),
            *("--disable-background-networking", "--disable-component-update", "--no-first-run"),
            *(f"--user-data-dir={tmp_path / 'profile'}", "--enable-logging=stderr", "--timeout=20000"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", *flags, "--dump-dom", page.as_uri()),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True)
        found = dict(Seen(done.stdout).tags)["html"]["data-seen"]
        said = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
        return {**json.loads(str(found)), "console": said}

    return open_page


@pytest.mark.parametrize("width", [1200, 400])
@pytest.mark.parametrize("page, ranking", [("text", "top-1"), ("many", "AUC macro")])
def test_in_a_browser_tables_sort_and_nothing_is_asked_for(
    browse: Callable[..., dict[str, Any]], request: pytest.FixtureRequest, page: str, ranking: str, width: int
) -> None:
    seen = browse(request.getfixturevalue(page), ranking, f"--window-size={width},900")
    assert seen["errors"] == [] and seen["violations"] == [] and seen["requests"] == []
    assert seen["console"] == []
    numbers = [float(value) for value in seen["falling"] if value != "–"]
    assert len(numbers) > 3 and numbers == sorted(numbers, reverse=True)
    rising = [float(value) for value in seen["rising"] if value != "–"]
    assert rising == sorted(numbers) and seen["sorted"] == "descending"
    assert 0 < seen["kept"] < seen["rows"] and seen["broken"] == 0
    assert seen["evil"] > 0 and seen["scripts"] == 2, "a class called like a script is text"
    assert seen["wide"] <= 0, "the page is wider than its window"


def test_in_a_browser_a_script_from_data_would_be_blocked(
    browse: Callable[..., dict[str, Any]], text: str
) -> None:
    seen = browse(text.replace("</main>", f"{EVIL}</main>", 1), "top-1")
    assert seen["violations"] == ["inline"] and "alert" not in seen["errors"]
