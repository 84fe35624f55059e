"""Progress in a notebook is one output, redrawn, whose text is escaped; the notebook in docs/ runs."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from bench.api.notebook import Notebook, NotebookProgress, in_notebook
from bench.api.run import _reporter
from bench.commands.progress import Progress

ROOT = Path(__file__).resolve().parents[2]


class Handle:
    """Output of a cell, as IPython's `display` gives it."""

    def __init__(self) -> None:
        self.drawn: list[str] = []

    def update(self, text: str) -> None:
        self.drawn.append(text)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Handle:
    """Make this process look like a kernel; return its output."""
    handle = Handle()

    def display(text: str, display_id: bool) -> Handle:
        assert display_id and not handle.drawn, "one output only"
        handle.update(text)
        return handle

    fakes: dict[str, Any] = {
        "IPython": {"get_ipython": lambda: SimpleNamespace(kernel=object())},
        "IPython.display": {"HTML": str, "display": display},
    }
    for name, content in fakes.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return handle


def test_a_run_is_one_output_with_its_lines_and_bars(kernel: Handle) -> None:
    assert in_notebook()
    reporter = _reporter(progress=True)
    reporter.say("2 of 2 cells <to> train")
    with reporter.display(2) as display:
        display.on_event({"event": "progress", "done": 9, "total": 9, "what": "decoding <b>"})
        display.on_event({"event": "cell", "id": "a" * 64, "status": "ok", "reason": None})
        display.on_event({"event": "cell", "id": "b" * 64, "status": "failed", "reason": "<i>\x1b[2J"})
        assert "<progress" in kernel.drawn[-1] and "cells: 2 of 2" in kernel.drawn[-1]
    last = kernel.drawn[-1]
    assert "<progress" not in last and "2 of 2 cells &lt;to&gt; train" in last
    assert "cell bbbbbbbb failed: &lt;i&gt;" in last
    everything = "".join(kernel.drawn)
    assert "<b>" not in everything and "<i>" not in everything and "\x1b" not in everything


def test_a_bar_is_not_drawn_more_often_than_anyone_sees(kernel: Handle) -> None:
    notebook = Notebook()
    with NotebookProgress(1, notebook) as progress:
        for done in range(1000):
            progress.step(done, 1000, "training")
    assert 1 < len(kernel.drawn) < 100


def test_a_script_has_lines_on_standard_error() -> None:
    assert not in_notebook()
    assert isinstance(_reporter(progress=True).display(1), Progress)


@pytest.mark.slow
def test_the_notebook_of_the_docs_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = nbformat.read(ROOT / "docs" / "notebook.ipynb", as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=resources).execute()
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert any("<table" in str(output.get("data", {}).get("text/html")) for output in outputs)
    assert not any(output.get("name") == "stderr" for output in outputs)
