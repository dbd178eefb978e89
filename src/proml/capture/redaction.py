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
        "mnemonic",
        "otp",
        "passkey",
    )
)
# As the end of a longer word: PGPASSWORD, authtoken. Shorter ones end ordinary words (compass, pat).
_SECRET_ENDINGS = (
    "password", "passwd", "passphrase", "token", "secret", "apikey", "accesskey", "secretkey", "privatekey",
)  # fmt: skip
_WHOLE_LINE = frozenset(("authorization", "cookie"))  # several parts, each a secret
_SECRET_KEYS = frozenset(  # …-key
    ("api", "access", "private", "secret", "account", "subscription", "encryption", "signing", "storage")
)
# Every repetition has a bound, so that no text takes long.
_NAME = r"[A-Za-z][A-Za-z0-9_.\-]{0,99}"
_OPTION = re.compile(rf"--?({_NAME})")
_ASSIGNED = re.compile(rf"""(?<![A-Za-z0-9_.\-])(?:--?)?({_NAME})["']?\s{{0,9}}[=:]\s{{0,9}}["']?""")
_VALUE = re.compile(r"""(?:Bearer |Basic )?(?:[^\s&;,'"]|,(?=[^\s'"]))+""")
_LINE = re.compile(r"""[^\n'"]+""")
_QUOTED = {quote: re.compile(rf"(?:\\.|[^{quote}\\]){{1,4000}}(?={quote})", re.DOTALL) for quote in "'\""}
_SPACED = re.compile(
    rf"""(?<![A-Za-z0-9_.\-])(--({_NAME})\s{{1,9}})(?!-)("[^"]{{0,2000}}"|'[^']{{0,2000}}'|[^\s'"]+)"""
)
_LOGIN_OPTION = re.compile(r"-u|--(?:proxy-)?user")
_LOGIN = re.compile(r"(?!\d+:\d+$)([^\s:/]{1,200}:)\S+")
_SPACED_LOGIN = re.compile(
    rf"(?<!\S)((?:{_LOGIN_OPTION.pattern})\s{{1,9}}[\"']?)(?!\d+:\d+(?:\s|$))([^\s:/]{{1,200}}:)[^\s'\"]+"
)
# Up to the last @ before the path; a password that ends the user's name with a colon may have slashes.
_USER_INFO = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]{0,30}://)(?:[^/\s]{0,2000}@|[^/\s@:]{1,200}:(?!\d{1,5}/)[^\s@]{1,2000}@)"
)
# Programs whose -p is a password, also written in one word with it.
_PROGRAMS_WITH_P = r"(?:mysql|mariadb|sshpass|mongo|sqlcmd|7z|rar|unrar)[a-z\-]{0,20}"
_PASSWORD_BY_P = re.compile(_PROGRAMS_WITH_P)
_SPACED_P = re.compile(
    rf"""(?<![\w\-])({_PROGRAMS_WITH_P}\s(?:[^\n;|&]{{0,300}}?\s)?-p\s{{0,3}})("[^"]{{0,300}}"|'[^']{{0,300}}'|[^\s;|&'"]+)"""
)
# Programs whose -p is something else and which start no other program, whose -p it might be.
_HARMLESS_P = frozenset(
    (
        *("cp", "declare", "git", "install", "ls", "lsof", "mkdir", "mkfifo", "mktemp", "patch", "pgrep", "ps", "read"),
        *("rmdir", "rsync", "scp", "sftp", "tar", "top", "unzip"),
        *("cargo", "conda", "kubectl", "mamba", "micromamba", "nmap", "papermill", "pytest", "snakemake", "tox", "tsc"),
        *("sacct", "sbatch", "scancel", "sinfo", "squeue", "virtualenv"),
    )
)
# As above, but their options end where the command begins that they start.
_HARMLESS_LAUNCHERS = frozenset(("make", "nice", "salloc", "srun", "ssh", "sudo", "time", "uv", "uvx", "xargs"))
_NUMBERS = re.compile(r"[\d.,:eE+\-]*\d(?:/(?:tcp|udp))?")
_PARTS = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z0-9]+(?![a-z])")
_SHAPES = re.compile(
    r"""
    \b(?:AKIA|ASIA|AROA|AIDA)[0-9A-Z]{12,}                    # AWS key ids
    | \bgh[pousr]_[A-Za-z0-9]{20,} | \bgithub_pat_\w{20,}     # GitHub
    | \bglpat-[\w\-]{16,}                                     # GitLab
    | \bxox[abeoprs]-[\w\-]{10,}                              # Slack
    | \bsk-[\w\-]{20,}                                        # OpenAI, Anthropic
    | \bhf_[A-Za-z0-9]{20,}                                   # Hugging Face
    | \bAIza[\w\-]{30,} | \bya29\.[\w\-]{20,} | \bGOCSPX-[\w\-]{20,}  # Google
    | \b[rs]k_(?:live|test)_\w{10,} | \bwhsec_\w{16,}         # Stripe
    | \bSG\.[\w\-]{16,100}\.[\w\-]{16,}                       # SendGrid
    | \bdop_v1_[a-f0-9]{32,} | \bdckr_pat_[\w\-]{16,}          # DigitalOcean, Docker
    | \bAGE-SECRET-KEY-1[A-Z0-9]{30,}
    | \b\d{8,10}:[\w\-]{35}(?![\w\-])                                 # Telegram
    | (?<=hooks\.slack\.com/services/)[\w/\-]+ | (?<=/api/webhooks/)[\w/\-]+
    | (?<=\bBearer\ )[\w.~+/=\-]{8,}
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
    text = _SPACED.sub(lambda match: match[1] + REDACTED if _names_secret(match[2]) else match[0], text)
    text = _SPACED_LOGIN.sub(rf"\1\2{REDACTED}", text)
    text = _SPACED_P.sub(rf"\1{REDACTED}", text)
    text = _SHAPES.sub(REDACTED, text)
    return _AWS_SECRET.sub(lambda match: REDACTED if _is_random(match[0]) else match[0], text)


def redact_command(argv: Sequence[str]) -> list[str]:
    """Returns a command line without secrets.

    ``--password X``, ``--token=…``, ``-u NAME:X``, ``KEY=…``, URLs with credentials; ``-p X`` unless it is a number or
    belongs to a program whose ``-p`` is known to mean something else.
    """
    return list(_redact_arguments(argv))


def _redact_arguments(argv: Sequence[str]) -> Iterator[str]:
    before, takes_password = "", False
    harmless = _harmless_until(argv)
    for position, argument in enumerate(argv):
        # A wrapper such as env or docker may come first, so the program can be any word.
        takes_password = takes_password or bool(_PASSWORD_BY_P.fullmatch(argument.rpartition("/")[2]))
        if position > 1 and argv[position - 2] == "-p" and _names_secret(before):
            yield REDACTED  # papermill -p password X
        elif before == "-p" and not takes_password and (position < harmless or _NUMBERS.fullmatch(argument)):
            yield redact(argument)  # a folder, a port, a partition, a probability
        else:
            yield _redact_argument(argument, before, takes_password=takes_password)
        before = argument


def _harmless_until(argv: Sequence[str]) -> int:
    """Returns up to which position ``-p`` belongs to a program that does not mean a password by it."""
    if not argv:
        return 0
    program = argv[0].rpartition("/")[2]
    if program in _HARMLESS_P:
        return len(argv)
    if program not in _HARMLESS_LAUNCHERS:
        return 0
    # A word that is no option may be the value of the one before it; two in a row begin the command.
    words = (
        position
        for position in range(2, len(argv))
        if not (argv[position].startswith("-") or _is_option(argv[position - 1]))
    )
    return next(words, len(argv))


def _is_option(argument: str) -> bool:
    return argument.startswith("-") and "=" not in argument


def _redact_argument(argument: str, before: str, *, takes_password: bool) -> str:
    """Returns an argument without secrets, knowing the one before it."""
    option = _OPTION.fullmatch(before)
    login = _LOGIN.fullmatch(argument) if _LOGIN_OPTION.fullmatch(before) else None
    name, separator, _ = argument.partition("=")
    if option and not _OPTION.fullmatch(argument) and (option[1] == "p" or _names_secret(option[1])):
        shown = REDACTED
    elif login:
        shown = f"{login[1]}{REDACTED}"
    elif takes_password and argument.startswith("-p") and len(argument) > len("-p"):
        shown = f"-p{REDACTED}"
    elif separator and re.fullmatch(rf"[-+~]{{0,2}}{_NAME}", name) and _names_secret(name.lstrip("-+~")):
        shown = f"{name}={REDACTED}"  # the value is one word here, whatever spaces or quotes it has
    else:
        shown = redact(argument)
    return shown


def _redact_assignments(text: str) -> Iterator[str]:
    done = 0
    while name := _ASSIGNED.search(text, done):
        yield text[done : name.end()]
        done = name.end()
        value = _value(name, text) if _names_secret(name[1]) else None
        if value:
            yield REDACTED
            done = value.end()
    yield text[done:]


def _value(name: re.Match[str], text: str) -> re.Match[str] | None:
    """Returns where the value of an assignment is: in quotes up to the other quote, else one word or one line."""
    quoted = _QUOTED.get(name[0][-1])
    if quoted and (value := quoted.match(text, name.end())):
        return value
    last = _PARTS.findall(name[1])[-1].lower()
    return (_LINE if last in _WHOLE_LINE and ":" in name[0] else _VALUE).match(text, name.end())


def _is_random(word: str) -> bool:
    """Tells 40 characters of base64, an AWS secret, from a hexadecimal digest and from a path."""
    has_all = any(map(str.islower, word)) and any(map(str.isupper, word)) and any(map(str.isdigit, word))
    return has_all and word.count("/") < _PATH_SLASHES


def _names_secret(name: str) -> bool:
    """Tells by the last words: ``hf-token`` and ``AWS_SECRET_ACCESS_KEY`` do, ``max-tokens``, ``token-file`` do not."""
    parts = [part.lower() for part in _PARTS.findall(name)]
    return bool(parts) and (
        parts[-1] in _SECRET_WORDS
        or parts[-1].endswith(_SECRET_ENDINGS)
        or (parts[-1] == "key" and len(parts) > 1 and parts[-2] in _SECRET_KEYS)
    )
