"""Conditions of kinds of tasks whose methods are all trained on labels."""

from __future__ import annotations

names = ("supervision", "outside_data")


def supervision(method: str) -> str:
    """Return that every method is trained on labels."""
    return "supervised"


def method_with(method: str, supervision: str, regime: str) -> str | None:
    """Return nothing: every method is trained on labels."""
    return None
