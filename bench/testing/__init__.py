"""Contract suites of what is registered: `pytest --pyargs bench.testing --plugin FILE.py`."""
