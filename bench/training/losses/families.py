"""Losses by name: the module of each function, and its arguments beside logits and labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from bench.core import plugins


@dataclass(frozen=True)
class Family:
    """One loss.

    module: with a function of the family's name; a leading dot: in this package. parameters: the names of its
    numbers. plain: the loss of validation rows, without parameters, where it is another one. memory: whether
    it keeps (m, k) numbers of the training rows, zeros at first. epoch: whether the number of the epoch is an
    argument. paired: whether it trains two heads, each on rows that the other one picks.
    """

    module: str
    parameters: tuple[str, ...] = ()
    plain: str = ""
    memory: bool = False
    epoch: bool = False
    paired: bool = False


CLASSES = {
    "softmax": Family(".classes", ("smoothing",)),
    "focal": Family(".classes", ("gamma", "alpha")),
    "sigmoid": Family(".classes"),
    "sigmoid_focal": Family(".classes", ("gamma",)),
    "gce": Family(".classes", ("q",)),
    "sce": Family(".classes", ("alpha", "beta", "log_zero")),
    "soft_bootstrap": Family(".classes", ("beta",)),
    "hard_bootstrap": Family(".classes", ("beta",)),
    "elr": Family(".classes", ("beta", "lam"), "softmax", memory=True),
    "co_teaching": Family(".classes", ("forget", "gradual"), "softmax", paired=True),
}
"""Losses of one class per row."""

ATTRIBUTES = {
    "bce": Family(".attributes"),
    "focal": Family(".attributes", ("gamma", "alpha")),
    "asl": Family(".attributes", ("gamma_pos", "gamma_neg", "clip")),
    "large_loss_reject": Family(".attributes", ("rate",), "bce", epoch=True),
    "large_loss_correct": Family(".attributes", ("rate",), "bce", epoch=True),
    "large_loss_permanent": Family(".attributes", ("rate",), "bce", memory=True, epoch=True),
    "splc": Family(".attributes", ("tau", "change_epoch", "margin", "gamma"), "bce", epoch=True),
}
"""Losses of many attributes per row."""


def register(name: str, family: Family, attributes: bool = False) -> None:
    """Add a loss, which steps then name. attributes: of many attributes per row, not of one class.

    Raises ValueError if its name is taken.
    """
    what, table = ("loss of attributes", ATTRIBUTES) if attributes else ("loss", CLASSES)
    plugins.register(what, table, name, family)


def class_family(name: str) -> Family:
    """Return the family of a loss of one class per row; the name of a user's loss holds its arguments."""
    return Family(".own") if ":" in name else CLASSES[name]


def loss_function(name: str, attributes: bool) -> Callable[..., Any]:
    """Return the function of a loss; of a paired one that of its plain loss."""
    if ":" in name:
        from bench.training.losses.own import own_loss

        return own_loss(name)
    family = ATTRIBUTES[name] if attributes else CLASSES[name]
    module = import_module(family.module, __package__)
    function: Callable[..., Any] = getattr(module, family.plain if family.paired else name)
    return function
