"""Writes docs/methods.md from the registry: a line for every step, its arguments and its paper.

Usage: python benchmarks/methods_page.py > docs/methods.md
"""

from __future__ import annotations

from bench.methods.grammar import MASK
from bench.methods.registry import STAGES, STEPS, StepInfo

HEAD = f"""# Methods

A method is `none`, a step, or several steps joined by `+`: `oversample+class_weight`,
`impute(leml)+mlp(units=32)`. Values joined by `|` are tried one after the other: `mlp(units=16|64)`. `{MASK}`
is another word for `none`: labels that are not known are never trained on unless a step says so.
`bench list methods` shows the same on a terminal.

This page is written by `python benchmarks/methods_page.py > docs/methods.md`.
"""

TITLES = {
    "labels": "What is trained on",
    "sampling": "Which images are seen how often",
    "augment": "Changed views",
    "mix": "Mixtures of images",
    "head": "What stands on the backbone",
    "space": "Pairs of photos: the space they are compared in",
    "match": "Pairs of photos: what compares them",
    "mining": "Pairs of photos: which are trained on",
    "weight": "Weights",
    "loss": "Losses",
    "posthoc": "After training, chosen on validation",
}


def page() -> str:
    """Return the page as Markdown."""
    parts = [HEAD]
    for stage in STAGES:
        steps = [info for info in STEPS.values() if _stage(info) == stage]
        parts.append(f"## {TITLES[stage]}\n")
        parts += [_step(info) for info in sorted(steps, key=lambda info: info.name)]
    return "\n".join(parts)


def _stage(info: StepInfo) -> str:
    return info.stage_of({param.name: param.default for param in info.params})


def _step(info: StepInfo) -> str:
    where = f"{' and '.join(info.kinds)}; {', '.join(info.regimes)}"
    lines = [f"**`{info.name}`** {info.summary} ({where}). {info.paper}."]
    for param in info.params:
        choices = f" ({', '.join(param.choices)})" if param.choices else ""
        lines.append(f"- `{param.name}={_shown(param.default)}`{choices}: {param.help}")
    return "\n".join(lines) + "\n"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    print(page(), end="")
