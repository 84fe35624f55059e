"""The three settings of Labeled Faces in the Wild, and the setting of a method."""

from __future__ import annotations

from bench.core.cell import MethodSpec, Step
from bench.core.errors import BenchError
from bench.kinds.verification.match import SUPERVISION, match_of
from bench.methods.grammar import parse_method, problems_for, stage_of, step_text
from bench.methods.registry import STEPS

names = ("supervision", "outside_data", "alignment")

SETTINGS: dict[str, str] = {
    "none": "unsupervised",
    "pairs": "image-restricted",
    "identities": "unrestricted",
}
"""Their names in Labeled Faces in the Wild."""


def supervision(method: str) -> str:
    """Return a method's setting of the three of Labeled Faces in the Wild."""
    return SETTINGS[match_of(parse_method(method, stored=True)).supervision]


def method_with(method: str, supervision: str, regime: str) -> str | None:
    """Return the method with its match changed to one of this setting, None where there is none."""
    found = supervised_by(parse_method(method, stored=True), supervision, regime)
    return None if found is None else found.text


def supervised_by(method: MethodSpec, setting: str, regime: str) -> MethodSpec | None:
    """Return the method with a match of this setting in place of its own, the space kept where it fits.

    setting: a value of SETTINGS. The match's own variant comes first, then the order of SUPERVISION. None
    where no match has this setting in this regime.

    >>> supervised_by(parse_method("whiten+joint_bayes"), "image-restricted", "frozen").text
    'whiten+joint_bayes(by=pairs)'
    """
    space = [step_text(step) for step in method.steps if stage_of(step) == "space"]
    own = [step_text(step) for step in _variants(match_of(method).match)]
    for match in (*own, *SUPERVISION):
        for text in ("+".join([*space, match]), match):
            try:
                found = parse_method(text)
            except BenchError:
                continue
            if SETTINGS[match_of(found).supervision] == setting and not problems_for(
                found, "verification", regime
            ):
                return found
    return None


def _variants(match: Step) -> list[Step]:
    """Return a match trained on everything it can be trained on, where that is an argument of it."""
    args = dict(match.args)
    choices = next((param.choices for param in STEPS[match.name].params if param.name == "by"), ())
    return [Step(match.name, tuple(sorted({**args, "by": by}.items()))) for by in choices]
