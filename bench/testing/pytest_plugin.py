"""The option `--plugin` of pytest, by which the suites are run on the plug-ins named and on nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option."""
    group = parser.getgroup("messybench")
    group.addoption(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="run the contract suites of bench.testing on this plug-in: FILE.py or package.module",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Load the plug-ins before tests are collected."""
    config.addinivalue_line("markers", "slow: takes more than a few seconds")
    if places := config.getoption("--plugin"):
        from bench.core.errors import BenchError
        from bench.testing.subjects import choose

        try:
            choose(places)
        except BenchError as error:
            import pytest

            raise pytest.UsageError(str(error)) from None
