"""The layers of docs/architecture.md are those that `make lint` checks; nobody but kinds knows kinds."""

from __future__ import annotations

import ast
import configparser
import re
from pathlib import Path

import pytest

from bench.core.kind import KINDS

ROOT = Path(__file__).resolve().parents[1]


def table() -> list[str]:
    """Return the packages of the table of layers in docs/architecture.md, lowest layer first."""
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").split("\n## ")[1]
    return re.findall(r"^\| `(\w+)` \|", text, flags=re.MULTILINE)


def test_the_table_and_the_contract_name_the_same_layers_in_the_same_order() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    layers = config["importlinter:contract:layers"]["layers"].split()
    assert table() == layers[::-1]


def test_the_table_is_all_that_lies_in_bench() -> None:
    entries = {path.name for path in (ROOT / "bench").iterdir()} - {"__pycache__"}
    assert entries == {*table(), "__init__.py", "__init__.pyi", "__main__.py", "py.typed"}


def test_every_public_class_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = {}
    for path in sorted((ROOT / "bench").rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(ROOT)))
    assert len(places) > 100
    assert not {name: found for name, found in places.items() if len(found) > 1}


def test_no_module_is_longer_than_350_lines() -> None:
    lengths = {
        str(path.relative_to(ROOT)): len(path.read_text(encoding="utf-8").splitlines())
        for path in (ROOT / "bench").rglob("*.py")
    }
    assert len(lengths) > 100
    assert not {path: length for path, length in lengths.items() if length > 350}


def test_the_picture_draws_every_layer_once_on_the_way_up() -> None:
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"```text\n(core .*?)```", text, flags=re.DOTALL)
    assert [name.strip() for name in picture.split("<")] == table()


KNOW_NO_KIND = sorted({*table()} - {"kinds", "testing"})
"""Packages in which nothing asks which kind a task is."""


def asks(source: str) -> list[str]:
    """Return the lines of a module that ask which kind a task is.

    That is a kind's name in any text but a declaration (`kinds=...`), a docstring or a module's path, and
    what only one kind has and is therefore looked at to tell them apart: attributes' cells, facts of pairs, a
    label column, the shape of labels.
    """
    found: list[ast.AST] = []
    tree = ast.parse(source)
    declared = {id(part) for node in ast.walk(tree) if declares(node) for part in ast.walk(node)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if NAMED.search(text) and id(node) not in declared:
                found.append(node)
            case ast.Call(func=ast.Name(id="isinstance"), args=[ast.Name(id="labels" | "y" | "truth"), _]):
                found.append(node)
            case ast.Attribute(value=ast.Name(id="truth") | ast.Attribute(attr="truth"), attr="ndim"):
                found.append(node)
            case ast.Compare(left=ast.Attribute(attr="pairs"), ops=[ast.Is() | ast.IsNot()]):
                found.append(node)
            case ast.UnaryOp(op=ast.Not(), operand=ast.Attribute(attr="label")):
                found.append(node)
            case ast.If(test=ast.Attribute(attr="label")) | ast.IfExp(test=ast.Attribute(attr="label")):
                found.append(node)
    return [ast.unparse(node).splitlines()[0] for node in found]


NAMED = re.compile(rf"(?<![\w.])({'|'.join(KINDS)})(?![\w:])")
"""A kind's name as a word."""


def declares(node: ast.AST) -> bool:
    """Tell whether a node says which kinds something is for, or is a docstring or a citation.

    `kinds=...`, `means=...`, `kinds: ... = ...`.
    """
    match node:
        case ast.keyword(arg="kinds" | "means" | "small" | "on_request" | "paper"):
            return True
        case ast.Expr(value=ast.Constant()):
            return True
        case ast.AnnAssign(target=ast.Name(id="kinds" | "KINDS")):
            return True
        case ast.Assign(targets=[ast.Name(id="_BOTH" | "_MANY" | "_PAIRS" | "_ONE" | "_BY_TOP1")]):
            return True
    return False


@pytest.mark.parametrize(
    "line",
    [
        "x = card.kind == 'verification'",
        "x = kind in ('multiclass', 'multilabel')",
        "x = {'multiclass': 1}[kind]",
        "fail(f'{name} is for multiclass tasks, not {kind}')",
        "x = 1 if isinstance(labels, np.ndarray) else 2",
        "x = split.truth.ndim > 1",
        "x = truth.ndim == 1",
        "x = pred.pairs is not None",
        "x = not card.label",
        "x = 1 if self.card.label else 2",
        "if card.label: pass",
    ],
)
def test_a_line_that_asks_which_kind_is_found(line: str) -> None:
    assert len(asks(line)) >= 1
    assert not asks("x = MetricInfo('accuracy', kinds=('verification',))\nx = get_kind(card.kind).metrics")
    assert not asks('"""As multiclass tasks have."""\nx = \'.synthetic.multilabel:multilabel_sample\'')


@pytest.mark.parametrize("package", KNOW_NO_KIND)
def test_nothing_outside_kinds_asks_which_kind_a_task_is(package: str) -> None:
    modules = sorted((ROOT / "bench" / package).rglob("*.py"))
    asked = {str(path.relative_to(ROOT)): asks(path.read_text(encoding="utf-8")) for path in modules}
    assert modules and not {path: lines for path, lines in asked.items() if lines}
