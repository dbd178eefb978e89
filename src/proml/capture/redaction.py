"""Takes secrets out of text before it is written down: command lines, URLs and messages of exceptions.

It errs on the side of redacting. A secret that looks like any other word cannot be told: pass those by a file or the
environment, whose values are never recorded.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

REDACTED = "[redacted]"

_SECRET_WORDS = frozenset(
    (
        "password",
        "passwd",
        "pwd",
        "pass",
        "passphrase",
        "passcode",
        "secret",
        "token",
        "apikey",
        "credential",
        "credentials",
        "auth",
        "authorization",
        "bearer",
        "cookie",
        "jwt",
        "signature",
        "sig",
    )
)
_SECRET_KEYS = frozenset(  # …-key
    ("api", "access", "private", "secret", "account", "subscription", "encryption", "signing", "storage")
)
# Every repetition has a bound, so that no text takes long.
_NAME = r"[A-Za-z][A-Za-z0-9_.\-]{0,99}"
_OPTION = re.compile(rf"--?({_NAME})")
_ASSIGNED = re.compile(rf"""(?<![A-Za-z0-9_.\-])(?:--?)?({_NAME})["']?\s{{0,9}}[=:]\s{{0,9}}["']?""")
_VALUE = re.compile(r"""(?:Bearer |Basic )?[^\s&;,'"]+""")
_USER_INFO = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]{0,30}://)[^/\s@]{0,2000}@")
_PARTS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_SHAPES = re.compile(
    r"""
    \b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{12,}                    # AWS key ids
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,}     # GitHub
    | \bglpat-[\w\-]{16,}                                     # GitLab
    | \bxox[abeoprs]-[\w\-]{10,}                              # Slack
    | \bsk-[\w\-]{20,}                                        # OpenAI, Anthropic
    | \bhf_[A-Za-z0-9]{20,}                                   # Hugging Face
    | \bAIza[\w\-]{30,}                                       # Google
    | \bpypi-[\w\-]{20,} | \bnpm_[A-Za-z0-9]{20,}
    | \beyJ[\w\-]{8,2000}\.[\w\-]{8,4000}\.[\w\-]{0,2000}   # JSON web tokens
    | -----BEGIN[ A-Z]*PRIVATE\ KEY-----[\s\S]*?(?:-----END[ A-Z]*-----|$)
    """,
    re.VERBOSE,
)
_AWS_SECRET = re.compile(r"(?<![\w/+=])[A-Za-z0-9/+]{40}(?![\w/+=])")
_PATH_SLASHES = 3


def redact(text: str) -> str:
    """Returns the text without passwords in URLs, values assigned to secret names, and well-known kinds of keys."""
    text = _USER_INFO.sub(rf"\1{REDACTED}@", text)
    text = "".join(_redact_assignments(text))
    text = _SHAPES.sub(REDACTED, text)
    return _AWS_SECRET.sub(lambda match: REDACTED if _is_random(match[0]) else match[0], text)


def redact_command(argv: Sequence[str]) -> list[str]:
    """Returns a command line without secrets: ``--password X``, ``--token=…``, ``KEY=…``, URLs with credentials."""
    return list(_redact_arguments(argv))


def _redact_arguments(argv: Sequence[str]) -> Iterator[str]:
    hide = False
    for argument in argv:
        option = _OPTION.fullmatch(argument)
        if hide and not option:
            yield REDACTED
            hide = False
            continue
        hide = bool(option) and _names_secret(option[1] if option else "")
        name, separator, _ = argument.partition("=")
        # The value of NAME=VALUE is one word here, whatever spaces or quotes it has.
        if separator and re.fullmatch(rf"(?:--?)?{_NAME}", name) and _names_secret(name.lstrip("-")):
            yield f"{name}={REDACTED}"
        else:
            yield redact(argument)


def _redact_assignments(text: str) -> Iterator[str]:
    done = 0
    while name := _ASSIGNED.search(text, done):
        yield text[done : name.end()]
        done = name.end()
        value = _VALUE.match(text, done) if _names_secret(name[1]) else None
        if value:
            yield REDACTED
            done = value.end()
    yield text[done:]


def _is_random(word: str) -> bool:
    """Tells 40 characters of base64, an AWS secret, from a hexadecimal digest and from a path."""
    has_all = any(map(str.islower, word)) and any(map(str.isupper, word)) and any(map(str.isdigit, word))
    return has_all and word.count("/") < _PATH_SLASHES


def _names_secret(name: str) -> bool:
    """Tells by the last words: ``hf-token`` and ``AWS_SECRET_ACCESS_KEY`` do, ``max-tokens``, ``token-file`` do not."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    return bool(parts) and (
        parts[-1] in _SECRET_WORDS or (parts[-1] == "key" and len(parts) > 1 and parts[-2] in _SECRET_KEYS)
    )
