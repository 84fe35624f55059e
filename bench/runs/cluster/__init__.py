"""Runs on the machines of a cluster: passes of frozen backbones in blocks, whole nets as tasks."""
