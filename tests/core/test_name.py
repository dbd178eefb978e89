from __future__ import annotations

import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proml.core.digest import keccak256
from proml.core.name import (
    artefact_id,
    check_name,
    deceptive_character,
    parse_reference,
    show,
    skeleton,
)
from proml.errors import InvalidName

names = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,20}[A-Za-z0-9])?(/[A-Za-z0-9]{1,5}){0,3}", fullmatch=True)


@pytest.mark.parametrize("name", ["tumour-model", "a", "A.b_c-1", "team/data/v1.2", "x" * 128])
def test_plain_names_pass_unchanged(name: str) -> None:
    assert check_name(name) == name


@given(names)
def test_a_valid_name_is_in_nfc(name: str) -> None:
    """Law: check_name(x) == NFC(x) == x."""
    assert check_name(name) == unicodedata.normalize("NFC", name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("mod\u0435l", "U+0435 CYRILLIC SMALL LETTER IE at position 4"),
        ("model\u202e", "U+202E RIGHT-TO-LEFT OVERRIDE"),
        ("mod\u200bel", "U+200B ZERO WIDTH SPACE"),
        ("\uff4dodel", "U+FF4D FULLWIDTH LATIN SMALL LETTER M"),
        ("\u212aelvin", "U+212A KELVIN SIGN"),
        ("a\nb", "U+000A control character"),
        ("a\x00b", "U+0000 control character"),
        ("a b", "U+0020 SPACE"),
        ("a@2", "U+0040 COMMERCIAL AT"),
        ("a\\b", "U+005C REVERSE SOLIDUS"),
        ("a\udcff", "U+DCFF lone surrogate"),
        ("e\u0301", "U+0301 COMBINING ACUTE ACCENT"),
    ],
)
def test_the_message_shows_the_offending_character_by_code_point_and_name(name: str, shown: str) -> None:
    with pytest.raises(InvalidName) as caught:
        check_name(name)
    assert shown in caught.value.message
    assert "ASCII letters" in caught.value.hint
    assert str(caught.value).isprintable() or "\n" in str(caught.value)
    assert deceptive_character(caught.value.message) is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-a",
        "a-",
        ".",
        "..",
        "...",
        ".hidden",
        "a/../b",
        "../a",
        "/a",
        "a/",
        "a//b",
        "a/./b",
        "a/-b",
        "_",
        "x" * 129,
    ],
)
def test_names_of_a_wrong_shape_are_refused(name: str) -> None:
    with pytest.raises(InvalidName):
        check_name(name)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("model", "rnodel"),
        ("model", "MODEL"),
        ("model", "mode1"),
        ("model", "modeI"),
        ("model", "modei"),
        ("tool", "t00l"),
        ("wave", "vvave"),
        ("a-b", "a_b"),
        ("a-b", "a.b"),
        ("a-b", "a--b"),
        ("RN-7", "m-7"),
    ],
)
def test_look_alikes_share_a_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("model-2", "model-3"), ("a/b", "a-b"), ("data", "date"), ("ab", "a-b")])
def test_names_that_nobody_confuses_differ_in_their_skeletons(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)


@given(names)
def test_a_skeleton_is_its_own_skeleton(name: str) -> None:
    """Law: skeleton(skeleton(x)) == skeleton(x), and case never matters."""
    assert skeleton(skeleton(name)) == skeleton(name)
    assert skeleton(name.upper()) == skeleton(name.lower())


def test_the_id_is_the_keccak_of_key_and_name() -> None:
    key = bytes(range(32))
    assert artefact_id(key, "model") == keccak256(key + b"model")


@given(names, names)
def test_different_names_and_different_keys_have_different_ids(one: str, other: str) -> None:
    """Law: the id depends on name and key."""
    assume(one != other)
    key = bytes(32)
    assert artefact_id(key, one) != artefact_id(key, other)
    assert artefact_id(key, one) != artefact_id(b"\x01" * 32, one)


def test_an_id_needs_a_whole_key_and_a_valid_name() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        artefact_id(b"short", "model")
    with pytest.raises(InvalidName):
        artefact_id(bytes(32), "no name")


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("m", ("m", None)),
        ("m@2", ("m", "2")),
        ("a/m@0xabcd", ("a/m", "0xabcd")),
        ("m@" + "0x" + "a" * 64, ("m", "0x" + "a" * 64)),
    ],
)
def test_a_reference_is_a_name_and_perhaps_a_version(reference: str, parts: tuple[str, str | None]) -> None:
    assert parse_reference(reference) == parts


@pytest.mark.parametrize(
    "reference", ["m@", "m@0", "m@-1", "m@01", "m@latest", "m@0xabc", "m@0xABCD", "@2", "m@2@3", "m@2\n"]
)
def test_a_malformed_reference_is_refused(reference: str) -> None:
    with pytest.raises(InvalidName):
        parse_reference(reference)


@given(st.text(max_size=200))
def test_what_is_shown_never_acts_on_a_terminal(text: str) -> None:
    """Law: show(x) has no deceptive character."""
    assert deceptive_character(show(text)) is None
