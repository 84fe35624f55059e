"""messybench from Python: `bench.run`, `bench.load` and what they return."""
