"""Small faults that can be put into a module, and into the functions of one that is already imported."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from operator import setitem
from types import CodeType, FunctionType, ModuleType
from typing import Any

TESTS: dict[str, tuple[str, ...]] = {
    "core/sealed_json": (
        "tests/core/test_sealed_json.py",
        "tests/store/test_digests.py",
        "tests/data/cache/test_rows.py",
    ),
    "store/digests": ("tests/store/test_digests.py", "tests/store/test_write.py"),
    "store/write": (
        "tests/store/test_write.py",
        "tests/store/test_promises.py",
        "tests/core/test_atomic_folders.py",
    ),
    "store/read": ("tests/store/test_read.py", "tests/store/test_digests.py", "tests/store/test_write.py"),
    "kinds/multiclass/metrics": ("tests/kinds/multiclass/test_metrics.py",),
    "metrics/intervals": ("tests/metrics/test_intervals.py",),
    "compare/paired": (
        "tests/compare/test_changes.py",
        "tests/compare/test_two_runs.py",
        "tests/compare/test_compare.py",
    ),
    "compare/estimates": ("tests/compare/test_paired_bootstrap.py", "tests/compare/test_two_runs.py"),
    "compare/paired_bootstrap": ("tests/compare/test_paired_bootstrap.py", "tests/compare/test_two_runs.py"),
    "compare/verdict": ("tests/compare/test_compare.py", "tests/compare/test_two_runs.py"),
    "data/splits": (
        "tests/data/test_published_splits.py",
        "tests/data/test_splits.py",
        "tests/kinds/multilabel/test_split.py",
        "tests/data/test_rehearsal.py",
    ),
    "metrics/scores": ("tests/metrics/test_scores.py", "tests/kinds/multiclass/test_metrics.py"),
    "metrics/rank_sums": ("tests/metrics/test_rank_sums.py",),
    "metrics/bootstrap": (
        "tests/metrics/test_bootstrap.py",
        "tests/compare/test_paired_bootstrap.py",
        "tests/metrics/test_bootstrap_areas.py",
    ),
    "kinds/multilabel/metrics": ("tests/kinds/multilabel/test_metrics.py",),
    "kinds/verification/metrics": ("tests/kinds/verification/test_metrics.py",),
    "store/verify": ("tests/store/test_verify.py",),
    "store/cell_files": ("tests/store/test_write.py", "tests/store/test_read.py"),
    "core/atomic_files": (
        "tests/core/test_atomic_files.py",
        "tests/test_hostile.py",
        "tests/core/test_atomic_folders.py",
    ),
    "core/atomic_folders": ("tests/core/test_atomic_folders.py", "tests/store/test_write.py"),
    "core/regular_files": (
        "tests/data/test_named_files.py",
        "tests/data/test_files.py",
        "tests/data/cache/test_rows.py",
    ),
    "compare/two_runs": ("tests/compare/test_two_runs.py",),
    "compare/warnings": ("tests/compare/test_warnings.py", "tests/test_chance.py"),
    "data/validation": (
        "tests/data/test_splits.py",
        "tests/kinds/multilabel/test_split.py",
        "tests/runs/test_calibration.py::test_a_seed_always_draws_the_same_parts",
        "tests/runs/test_calibration.py::test_without_calibration_parts_nothing_is_left_out",
    ),
    "kinds/image_split": (
        "tests/kinds/test_image_split.py",
        "tests/data/test_splits.py",
        "tests/kinds/multilabel/test_split.py",
        "tests/test_run_command.py",
    ),
    "training/schedule": (
        "tests/training/test_attribute_heads.py",
        "tests/training/test_heads.py",
        "tests/training/test_weight_decay.py",
    ),
    "training/loop": ("tests/training/test_loop.py",),
    "training/group_run": ("tests/training/test_group_run.py",),
    "runs/grid": ("tests/runs/test_grid.py", "tests/api/test_run.py"),
    "runs/launch": ("tests/runs/test_launch.py",),
    "commands/run_": ("tests/commands/test_run.py",),
    "runs/commit": ("tests/runs/test_commit.py",),
    "runs/train_stage": ("tests/runs/test_train_stage.py",),
    "runs/image_stage": ("tests/runs/test_stage_answers.py",),
    "runs/choices": ("tests/runs/test_train_stage.py",),
    "runs/staged_nets": ("tests/runs/test_stage_answers.py",),
    "runs/stage_run": ("tests/runs/test_stage_answers.py", "tests/runs/test_run_job.py"),
    "runs/run_job": ("tests/runs/test_run_job.py",),
}
"""The tests that should notice a fault of a module, those first that do so soonest."""


_TURNED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.And: ast.Or,
    ast.Or: ast.And,
    ast.BitAnd: ast.BitOr,
    ast.BitOr: ast.BitAnd,
}


@dataclass(frozen=True)
class Mutant:
    """One fault.

    lines: its own, and the first of its statement. function: the qualified name of the function that holds
    it, "" for one that acts when the module is imported.
    """

    number: int
    line: int
    lines: frozenset[int]
    what: str
    function: str


def mutants(source: str) -> list[Mutant]:
    """Return every fault that can be put into a module's text, in order."""
    found = []
    for number, (node, line, what, _) in enumerate(_places(tree := ast.parse(source))):
        statement, function = _around(tree, node)
        lines = {statement.lineno, *range(line, getattr(node, "end_lineno", line) + 1)}
        found.append(Mutant(number, line, frozenset(lines), what, function))
    return found


def with_fault(source: str, mutant: Mutant) -> str:
    """Return the module's text with the fault."""
    tree = ast.parse(source)
    list(_places(tree))[mutant.number][3]()
    return ast.unparse(ast.fix_missing_locations(tree))


def put_in(module: ModuleType, source: str, mutant: Mutant) -> bool:
    """Give a function of an imported module the code it has with the fault; False where that cannot be done.

    source: the module's text with the fault.
    """
    codes = _codes(compile(source, str(module.__file__), "exec"))
    target, code = _function(module, mutant.function), codes.get(mutant.function)
    if target is None or code is None or target.__code__.co_freevars != code.co_freevars:
        return False
    target.__code__ = code
    return True


def _codes(code: CodeType) -> dict[str, CodeType]:
    found = {code.co_qualname: code}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found |= _codes(constant)
    return found


def _function(module: ModuleType, name: str) -> FunctionType | None:
    """Return the function of this qualified name, below what decorators made of it."""
    found: Any = module
    for part in name.split(".") if name else []:
        found = vars(found).get(part)
        while not isinstance(found, type | FunctionType) or hasattr(found, "__wrapped__"):
            for below in ("__wrapped__", "__func__", "fget", "func", "callback"):
                if (inner := getattr(found, below, None)) is not None:
                    found = inner
                    break
            else:
                return None
    return found if isinstance(found, FunctionType) and found.__qualname__ == name else None


def _around(tree: ast.Module, node: ast.AST) -> tuple[ast.stmt, str]:
    """Return the statement that a node is in, and the qualified name of the outermost function around it."""
    path: list[ast.AST] = []

    def search(here: ast.AST) -> bool:
        path.append(here)
        if here is node or any(search(child) for child in ast.iter_child_nodes(here)):
            return True
        path.pop()
        return False

    search(tree)
    statement = [one for one in path if isinstance(one, ast.stmt)][-1]
    names: list[str] = []
    for outer, inner in pairwise(path):
        if isinstance(outer, ast.ClassDef):
            names.append(outer.name)
        elif isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef):
            # A default or a decorator acts where the function is made.
            return statement, ".".join([*names, outer.name]) if inner in outer.body else ""
    return statement, ""


def _places(tree: ast.Module) -> Iterator[tuple[ast.AST, int, str, Callable[[], object]]]:
    """Yield node, line, description and what makes the fault, for each place where one can be."""
    for node in _code(tree):
        for line, what, change in _of_node(node):
            yield node, line, what, change


def _of_node(node: ast.AST) -> Iterator[tuple[int, str, Callable[[], object]]]:
    line, value = getattr(node, "lineno", 0), getattr(node, "value", None)
    if isinstance(node, ast.Compare):
        for place, one in enumerate(node.ops):
            if turned := _TURNED.get(type(one)):
                yield line, _said(one, turned), partial(setitem, node.ops, place, turned())
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.AugAssign) and (turned := _TURNED.get(type(node.op))):
        yield line, _said(node.op, turned), partial(setattr, node, "op", turned())
    elif isinstance(node, ast.Constant) and isinstance(value, bool):
        yield line, f"{value} reversed", partial(setattr, node, "value", not value)
    elif isinstance(node, ast.Constant) and isinstance(value, int | float):
        yield line, f"{value} + 1", partial(setattr, node, "value", value + 1)
    elif isinstance(node, ast.If | ast.IfExp | ast.While) and not isinstance(node.test, ast.Compare):
        reversed_ = ast.UnaryOp(ast.Not(), copy.deepcopy(node.test))
        yield line, "condition reversed", partial(setattr, node, "test", reversed_)
    elif isinstance(node, ast.Return) and not _is_none(node.value):
        yield line, "result withheld", partial(setattr, node, "value", ast.Constant(None))
    elif isinstance(node, ast.Continue | ast.Break):
        other = ast.Break if isinstance(node, ast.Continue) else ast.Continue
        yield line, f"{other.__name__} for {type(node).__name__}", partial(setattr, node, "__class__", other)
    elif isinstance(node, ast.Expr) and isinstance(value, ast.Call):
        yield line, "call left out", partial(setattr, node, "value", ast.Constant(None))


def _said(old: ast.AST, new: type[ast.AST]) -> str:
    return f"{new.__name__} for {type(old).__name__}"


def _is_none(value: ast.expr | None) -> bool:
    return value is None or (isinstance(value, ast.Constant) and value.value is None)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run: no annotations, no texts of errors, nothing for type checkers alone."""
    yield node
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "decorator_list") or isinstance(node, ast.Raise | ast.JoinedStr):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST):
                yield from _code(child)
