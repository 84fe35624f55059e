"""What setup.cfg, constraints.txt and the changelog say about the code is true."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from configparser import ConfigParser
from importlib import import_module, metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import bench

ROOT = Path(__file__).resolve().parents[1]
HEAVY = {
    *("tensorflow", "keras", "keras_cv", "openvino", "numpy", "pandas", "scipy", "sklearn", "imblearn"),
    *("statsmodels", "pyarrow", "PIL", "matplotlib", "jinja2", "cleanlab", "imagehash"),
}
UNNAMED = {"scikit-learn", "simplejpeg"}
"""Required though no import statement names them: loaded by name, or what imbalanced-learn computes with."""

CONFIG = ConfigParser()
CONFIG.read(ROOT / "setup.cfg", encoding="utf-8")
REQUIRED = [Requirement(line) for line in CONFIG["options"]["install_requires"].split("\n") if line]
EXTRAS = [
    Requirement(line)
    for extra in CONFIG["options.extras_require"].values()
    for line in extra.split("\n")
    if line
]


def imported(source: Path) -> set[str]:
    """Return the top-level names a file imports from outside the standard library and bench."""
    names = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"bench"}


def test_every_package_is_listed() -> None:
    listed = set(CONFIG["options"]["packages"].split())
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "bench").rglob("*.py")}
    found = {".".join(folder.parts) for folder in folders}
    assert listed == found | {"bench.tasks", "bench.baselines"}


def test_the_versions_of_python_are_the_same_everywhere() -> None:
    classified = re.findall(r":: 3\.(\d+)$", CONFIG["metadata"]["classifiers"], re.MULTILINE)
    workflow = (ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8")
    (matrix,) = re.findall(r"python: \[(.*)\]", workflow)
    assert re.findall(r"3\.(\d+)", matrix) == classified
    first, last = classified[0], classified[-1]
    assert CONFIG["options"]["python_requires"] == f">=3.{first}"
    assert f"(3, {first}) <= sys.version_info[:2] <= (3, {last})" in (ROOT / "Makefile").read_text("utf-8")
    assert f"NEWEST = {last}\n" in (ROOT / ".ci" / "check_wheel.py").read_text(encoding="utf-8")
    assert f"CPython 3.{first} to 3.{last}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("folder", ["tasks", "baselines"])
def test_folders_of_data_hold_no_code(folder: str) -> None:
    assert not list((ROOT / folder).rglob("*.py"))


def test_what_is_imported_is_required_and_the_other_way_round() -> None:
    distributions = metadata.packages_distributions()
    used = {name for path in (ROOT / "bench").rglob("*.py") for name in imported(path)}
    providers = {canonicalize_name(dist) for name in used for dist in distributions[name]}
    required = {canonicalize_name(requirement.name) for requirement in REQUIRED}
    optional = {canonicalize_name(requirement.name) for requirement in EXTRAS}
    assert providers - required - optional == set()
    assert required - providers - UNNAMED == set()


def test_constraints_pin_every_requirement_and_fit_it() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = dict(line.split("==") for line in lines if not line.startswith("#"))
    versions = {canonicalize_name(name): version for name, version in pins.items()}
    for requirement in (*REQUIRED, *EXTRAS):
        assert requirement.specifier.contains(versions[canonicalize_name(requirement.name)]), requirement


def test_the_commands_exist() -> None:
    lines = CONFIG["options.entry_points"]["console_scripts"].strip().split("\n")
    scripts = dict(re.split(r"\s*=\s*", line) for line in lines)
    assert set(scripts) == {"bench", "messybench"}
    for target in scripts.values():
        module, _, name = target.partition(":")
        assert callable(getattr(import_module(module), name))


def test_the_changelog_knows_this_version() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(bench.__version__)}\]", text, re.MULTILINE)


def test_importing_the_command_imports_nothing_heavy() -> None:
    code = "import bench.commands.main, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert not HEAVY & set(done.stdout.split())


def test_no_file_names_the_machine_it_was_written_on() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, check=True, capture_output=True, text=True)
    place = re.compile(rb"(?<![\w.<>)}*])/(work|home|root|Users)/\w")
    found = [
        f"{name}:{number}"
        for name in listed.stdout.split("\0")
        if name and (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_bytes().splitlines(), 1)
        if place.search(line)
    ]
    assert not found
