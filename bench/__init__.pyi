from bench.api.results import Results as Results
from bench.api.results import load as load
from bench.api.run import run as run
from bench.api.tables import ResultTable as ResultTable
from bench.core.errors import BenchError as BenchError

__version__: str
__all__ = ["BenchError", "ResultTable", "Results", "load", "run"]
