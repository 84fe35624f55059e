"""Task cards: every shipped one is sound, and a faulty one is answered with its file and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.cards import find_cards, load_card, read_card
from bench.data.sources import SOURCES
from bench.data.splits import RULES
from bench.errors import BenchError
from bench.kinds.base import KINDS
from bench.methods.grammar import parse_method, problems_for
from bench.models.backbones import BACKBONES
from bench.paths import search_path
from bench.plan import parse_seeds

CARDS = find_cards(search_path("tasks"))
FASHION = CARDS["fashion"].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", CARDS)
def test_every_card_names_only_what_exists(name: str) -> None:
    card = read_card(CARDS[name])
    assert card.source in SOURCES and card.kind in KINDS and card.split_rule in (*RULES, "people")
    assert set(card.grids) == {"drawn", "data"}
    for grid in card.grids.values():
        assert parse_seeds(grid.seeds)
        for backbone in grid.backbones:
            for method in grid.methods:
                assert problems_for(parse_method(method), card.kind, BACKBONES[backbone].regime) is None


@pytest.mark.parametrize("name", CARDS)
def test_every_task_is_documented(name: str) -> None:
    text = (CARDS[name].parent / "README.md").read_text(encoding="utf-8")
    for part in ("## Data", "## Protocol", "## What has been published"):
        assert part in text


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('kind = "multiclass"', 'kinds = "multiclass"', "did you mean 'kind'"),
        ("version = 1", 'version = "one"', "version must be a int"),
        ('name = "fashion"', 'name = "fashions"', "its folder is 'fashion'"),
        ("first = 20", "first = -1", "0 <= first < last"),
        ('name = "remaining"', 'name = "top20"', "names of their own"),
        ("epochs = 60", "epoch = 60", "did you mean 'epochs'"),
        ("epochs = 60", "epochs = 0", "at least 1"),
        ("[protocol.frozen]", "[protocol.frosen]", "did you mean 'frozen'"),
        ("[grid.drawn]", "[grid.drawing]", "did you mean 'drawn'"),
        ('rule = "even_year"', "", "has no 'rule'"),
        ("[split]", "[split", "not a readable task card"),
        ('"remaining.epochs" = 10', '"rest.epochs" = 10', "unknown stage 'rest'"),
        ('"remaining.epochs" = 10', '"remaining.crop" = 0.5', "stages may differ in"),
        ('name = "remaining"', 'name = "the rest"', "takes letters"),
        ('rule = "even_year"', 'rule = "people"', "is that of verification tasks"),
    ],
)
def test_a_faulty_card_is_one_line(tmp_path: Path, old: str, new: str, says: str) -> None:
    assert old in FASHION
    path = tmp_path / "fashion" / "task.toml"
    path.parent.mkdir()
    path.write_text(FASHION.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(BenchError, match=says) as error:
        load_card("fashion", [tmp_path])
    assert "\n" not in str(error.value).strip()


def test_a_card_of_ones_own_comes_first(tmp_path: Path) -> None:
    path = tmp_path / "fashion" / "task.toml"
    path.parent.mkdir()
    path.write_text(FASHION.replace("version = 1", "version = 2"), encoding="utf-8")
    assert load_card("fashion", [tmp_path, *search_path("tasks")]).version == 2


def test_bytes_that_are_no_text_are_one_line(tmp_path: Path) -> None:
    path = tmp_path / "odd" / "task.toml"
    path.parent.mkdir()
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(BenchError, match="not a readable task card"):
        read_card(path)
