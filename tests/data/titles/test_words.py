"""Titles become words in any script, and class names are found among them however they are written."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.data.titles.class_words import ClassWords, forms, holds
from bench.data.titles.words import MAX_LETTERS, MAX_WORDS, terms, words

TSHIRT = (
    "T-shirt",
    "t shirt",
    "TSHIRTS",
    "T-Shirts",
    "tshirt",
    "\uff34\uff33\uff28\uff29\uff32\uff34",
    "T.Shirt",
)


@pytest.mark.parametrize(
    ("title", "found"),
    [
        ("", ()),
        (" -- !? ", ()),
        ("Puma Men's  2-Tone", ("puma", "men", "s", "2", "tone")),
        # Vowel signs and the virama are marks: they stay within their words.
        ("\u092a\u0941\u0930\u0941\u0937 \u0915\u0941\u0930\u094d\u0924\u093e",
         ("\u092a\u0941\u0930\u0941\u0937", "\u0915\u0941\u0930\u094d\u0924\u093e")),
        # Arabic, with the zero-width non-joiner that Persian writes within words.
        ("\u0642\u0645\u06cc\u0635 \u0645\u06cc\u200c\u062e",
         ("\u0642\u0645\u06cc\u0635", "\u0645\u06cc\u062e")),
        # Chinese has no blanks: each character is a word.
        ("\u7ea2\u8272T\u6064", ("\u7ea2", "\u8272", "t", "\u6064")),
        ("Run\U0001f45fnow \U0001f1ee\U0001f1f3", ("run", "\U0001f45f", "now", "\U0001f1ee", "\U0001f1f3")),
        ("STRA\u00dfE caf\u00e9 cafe\u0301", ("strasse", "caf\u00e9", "caf\u00e9")),
        ("a\x00b\u202ec", ("a", "b", "c")),
    ],
)  # fmt: skip
def test_words_of_any_script(title: str, found: tuple[str, ...]) -> None:
    assert words(title) == found


@settings(max_examples=200)
@given(st.text(max_size=80))
def test_words_are_bounded_have_no_blank_and_are_words_of_themselves(title: str) -> None:
    found = words(title)
    assert (
        all(word and not word.isspace() and len(word) <= MAX_LETTERS for word in found)
        and len(found) <= MAX_WORDS
    )
    assert not any(letter.isspace() for word in found for letter in word)
    assert words(title) == found == words(f"  {title}\n")


def test_a_hostile_title_is_cut() -> None:
    assert len(words("x" * 10_000)[0]) == MAX_LETTERS
    assert len(words("x " * 10_000)) == MAX_WORDS


def test_terms_are_words_and_neighbours() -> None:
    assert list(terms(("a", "b", "c"))) == ["a", "b", "c", "a b", "b c"]
    assert list(terms(())) == [] and list(terms(("a",))) == ["a"]


@pytest.mark.parametrize(
    ("one", "other"),
    [("shoes", "shoe"), ("scarves", "scarf"), ("dresses", "dress"), ("ties", "tie"), ("watches", "watch"),
     ("knives", "knife"), ("accessories", "accessory"), ("sunglasses", "sunglass")],
)  # fmt: skip
def test_plurals_are_their_singulars(one: str, other: str) -> None:
    assert forms(one) & forms(other)
    assert not forms(one) & forms("shirt")


@pytest.mark.parametrize("written", TSHIRT)
def test_a_class_is_found_however_it_is_written_and_can_be_taken_out(written: str) -> None:
    title = words(f"Puma Red {written} XL")
    assert holds(title, "Tshirts") and holds(title, "T-Shirt")
    assert ClassWords(("Watches", "Tshirts")).without(title) == ("puma", "red", "xl")


def test_only_whole_words_of_class_names_go() -> None:
    classes = ClassWords(("Casual Shoes", "Flip Flops", "Shirts"))
    assert classes.without(words("Nike Sweatshirt shoehorn")) == ("nike", "sweatshirt", "shoehorn")
    assert classes.without(words("CasualShoe flipflops Flip-Flop casual SHOES shirt")) == ()
    assert classes.without(words("Nike casual watch")) == ("nike", "watch")
    assert classes.without(()) == ()


def test_a_title_holds_a_name_of_two_words_in_any_order_but_not_by_half() -> None:
    assert holds(words("ADIDAS shoe for casual days"), "Casual Shoes")
    assert holds(words("casualshoes"), "Casual Shoes")
    assert not holds(words("ADIDAS shoes"), "Casual Shoes")
    assert not holds(words("anything"), "") and not holds(words("anything"), "---")
    assert holds(words("\u0915\u0941\u0930\u094d\u0924\u093e"), "\u0915\u0941\u0930\u094d\u0924\u093e")


@settings(max_examples=100)
@given(st.lists(st.text(max_size=20), max_size=5), st.text(max_size=60))
def test_nothing_of_a_class_is_left_and_nothing_else_is_lost(names: list[str], title: str) -> None:
    classes, found = ClassWords(tuple(names)), words(title)
    left = classes.without(found)
    wanted = {form for name in names for word in words(name) for form in forms(word)}
    assert not any(forms(word) & wanted for word in left)
    assert len(left) <= len(found) and set(left) <= set(found)
    for name in names:
        own = words(name)
        assert not own or holds(own, name), "a name holds itself"
