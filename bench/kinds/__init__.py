"""Kinds of task: one package each, found by name through `bench.core.kind`."""
