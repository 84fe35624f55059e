"""`bench init`: survey a data folder and write a task card for it."""

from __future__ import annotations

import shlex
from typing import Any

import click

from bench.commands.options import follow_links_option
from bench.core.errors import BenchError
from bench.core.kind import KINDS
from bench.core.paths import user_path
from bench.data.own_card import NEW_CARDS


@click.command()
@click.argument("data", metavar="DATA")
@click.option("--label", multiple=True, metavar="COLUMN", help="Column of the label; several for attributes.")
@click.option("--kind", metavar="KIND", help=f"{', '.join(KINDS)} [found].")
@click.option(
    "--column",
    "columns",
    multiple=True,
    metavar="ROLE=COLUMN",
    help="Column of the image, split, group, title or price.",
)
@click.option("--out", metavar="DIR", default=NEW_CARDS, show_default=True, help="Folder for NAME/task.toml.")
@follow_links_option
def command(data: str, out: str, follow_links: bool, **options: Any) -> None:
    """Inspect a data folder or table, and write a task card for it.

    Prints the detected layout and the next command. Photos are not opened. The card has comments; edit it.
    """
    from bench.commands.option_values import data_folder, own_data
    from bench.core.atomic_files import replacing
    from bench.core.errors import StoreError
    from bench.core.paths import shipped
    from bench.core.safe_text import visible
    from bench.data.own_card import card_text, task_name
    from bench.data.survey import DataQuery, survey
    from bench.data.task_card import card_of_text, find_cards

    place = data_folder(data, None)
    assert place is not None
    own = own_data(options)
    found = survey(DataQuery(place, own["label"], own["kind"], own["columns"], follow_links))
    name = task_name(place, find_cards([shipped("tasks")]))
    card = user_path(out) / name / "task.toml"
    if card.exists():
        raise BenchError(f"{card}: exists already, perhaps edited; delete it, or choose another --out DIR")
    text = card_text(found, name)
    card_of_text(text, card)
    try:
        card.parent.mkdir(parents=True, exist_ok=True)
        with replacing(card) as fresh:
            fresh.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{card}: cannot be written ({error.strerror}); choose another --out DIR") from None
    typed = ["--task", name, "--tasks", out, "--data", data]
    lines = [f"{name}: {found.kind}", *(f"  {note}" for note in found.notes)]
    lines += [f"wrote {card}", "next:", f"  {shlex.join(['bench', 'data', 'check', *typed])}"]
    lines.append(f"  {shlex.join(['bench', 'run', *typed])}")
    click.echo("\n".join(map(visible, lines)))
