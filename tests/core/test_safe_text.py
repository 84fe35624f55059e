"""Text from data is shown and not acted on, whatever it holds."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from bench.core.safe_text import UNPRINTABLE, PackedText, markdown, spreadsheet, visible

ANY = st.text(st.characters(), max_size=20)


@given(ANY)
def test_nothing_a_terminal_acts_on_is_left(text: str) -> None:
    shown = visible(text)
    assert not {unicodedata.category(char) for char in shown} & UNPRINTABLE
    shown.encode("utf-8")


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_plain_text_is_left_alone(text: str) -> None:
    assert visible(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31m", r"\x1b[31m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("\u202eabc", r"\u202eabc"),
        ("\u2066abc\u2069", r"\u2066abc\u2069"),
        ("\ud800", r"\ud800"),
        ("\x85\x9b", r"\x85\x9b"),
        ("\u2028", r"\u2028"),
        ("日本 é", "日本 é"),
    ],
)
def test_visible(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(ANY)
def test_packed_text_has_a_character_a_column_and_comes_back(text: str) -> None:
    layout, shown = PackedText(), visible(text)
    packed = layout.pack(shown)
    back = layout.unpack(packed)
    assert len(packed) == cell_len(back) or "\ufe0f" in text
    # Only a mark with nothing to stand on is shown otherwise.
    if not shown or cell_len(shown[0]):
        assert back == shown


def test_one_layout_keeps_texts_apart() -> None:
    layout = PackedText()
    packed = [layout.pack(text) for text in ("日本", "本日", "日本")]
    assert packed[0] == packed[2] != packed[1]
    assert layout.unpack(" | ".join(packed)) == "日本 | 本日 | 日本"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a|b", r"a\|b"),
        ("<b>&amp;", "&lt;b&gt;&amp;amp;"),
        ("`code`", r"\`code\`"),
        ("two\r\nlines\nmore", "two lines more"),
        ("class_weight", "class_weight"),
        ("_low_", r"\_low\_"),
        ("a__b", r"a\_\_b"),
        ("[x](y)", r"\[x\](y)"),
        ("back\\|slash", r"back\\\|slash"),
        ("\x1b", r"\\x1b"),
    ],
)
def test_markdown(text: str, escaped: str) -> None:
    assert markdown(text) == escaped


@given(ANY)
def test_markdown_stays_in_its_cell(text: str) -> None:
    escaped = markdown(text)
    assert "\n" not in escaped and "<" not in escaped
    assert "|" not in escaped.replace("\\\\", "").replace("\\|", "")


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_a_formula_gets_an_apostrophe(start: str) -> None:
    assert spreadsheet(f"{start}1+1") == f"'{start}1+1"


@pytest.mark.parametrize("text", ["", "Tops", "a=b", " =b", "'quoted"])
def test_other_text_gets_none(text: str) -> None:
    assert spreadsheet(text) == text
