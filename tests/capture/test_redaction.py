from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proml.capture.redaction import redact, redact_command

KEY = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["--password", "X y"], ["--password", "[redacted]"]),
        (["--token=abc def"], ["--token=[redacted]"]),
        (["--hf-token", "abc", "--lr", "3"], ["--hf-token", "[redacted]", "--lr", "3"]),
        (["--apiKey", "abc"], ["--apiKey", "[redacted]"]),
        (["AWS_SECRET_ACCESS_KEY=abc"], ["AWS_SECRET_ACCESS_KEY=[redacted]"]),
        (["https://user:pw@host/x?y=1"], ["https://[redacted]@host/x?y=1"]),
        (["https://h/x?token=abc&y=1"], ["https://h/x?token=[redacted]&y=1"]),
        (["-H", "Authorization: Bearer abc.def"], ["-H", "Authorization: [redacted]"]),
        (['{"password": "abc"}'], ['{"password": "[redacted]"}']),
        (["AKIAIOSFODNN7EXAMPLE"], ["[redacted]"]),
        ([KEY], ["[redacted]"]),
        (["ghp_" + "a1" * 18], ["[redacted]"]),
        (["--password", "--verbose"], ["--password", "--verbose"]),
        (["--max-tokens", "512"], ["--max-tokens", "512"]),
        (["--tokenizer=bert", "--token-file", "f"], ["--tokenizer=bert", "--token-file", "f"]),
        (["0123456789abcdef0123456789abcdef01234567"], ["0123456789abcdef0123456789abcdef01234567"]),
        (["data/train.csv", "--key=value", "model=m.pkl"], ["data/train.csv", "--key=value", "model=m.pkl"]),
    ],
)
def test_secrets_are_taken_out_of_command_lines_and_nothing_else_is(given: list[str], shown: list[str]) -> None:
    assert redact_command(given) == shown


def test_secrets_are_taken_out_of_messages() -> None:
    shown = redact(
        f"cannot open postgres://me:pw@db/x with secret={KEY}, key id ASIAIOSFODNN7EXAMPLE, password: hunter2"
    )
    for secret in ("pw@", KEY, "ASIA", "hunter2"):
        assert secret not in shown


@given(st.text(max_size=500))
def test_any_text_is_taken_and_twice_is_as_once(text: str) -> None:
    """Law: redaction never fails, and what it left once it leaves again."""
    once = redact(text)
    assert redact(once) == once


def test_long_text_takes_no_long_time() -> None:
    for text in (
        "a" * 200_000,
        "a=" * 100_000,
        "://" * 60_000,
        "-----BEGIN PRIVATE KEY-----" * 5_000,
        "eyJ" * 60_000,
        "/" * 200_000,
    ):
        redact(text)
