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
        (["mysql", "-psecret", "-h", "db"], ["mysql", "-p[redacted]", "-h", "db"]),
        (["/usr/bin/mysqldump", "-p", "1234"], ["/usr/bin/mysqldump", "-p", "[redacted]"]),
        (["sshpass", "-p", "hunter2", "ssh", "me@host"], ["sshpass", "-p", "[redacted]", "ssh", "me@host"]),
        (["tool", "-p", "hunter2"], ["tool", "-p", "[redacted]"]),
        (["serve", "-p", "8080", "-p", "80:80", "-p", "0.5"], ["serve", "-p", "8080", "-p", "80:80", "-p", "0.5"]),
        (["mkdir", "-p", "data/clean"], ["mkdir", "-p", "data/clean"]),
        (["/usr/bin/mkdir", "-m", "700", "-p", "data"], ["/usr/bin/mkdir", "-m", "700", "-p", "data"]),
        (["conda", "create", "-p", "envs/x"], ["conda", "create", "-p", "envs/x"]),
        (["docker", "run", "-p", "127.0.0.1:80:80/tcp", "i"], ["docker", "run", "-p", "127.0.0.1:80:80/tcp", "i"]),
        (["docker", "login", "-p", "hunter2"], ["docker", "login", "-p", "[redacted]"]),
        (["docker", "run", "db", "mysqldump", "-phunter2"], ["docker", "run", "db", "mysqldump", "-p[redacted]"]),
        (["ssh", "-p", "2222", "me@host"], ["ssh", "-p", "2222", "me@host"]),
        (
            ["srun", "-n", "4", "-p", "gpu", "python", "train.py", "-p", "hunter2"],
            ["srun", "-n", "4", "-p", "gpu", "python", "train.py", "-p", "[redacted]"],
        ),
        (["python", "mkdir", "-p", "hunter2"], ["python", "mkdir", "-p", "[redacted]"]),
        (["srun", "mysql", "-p", "1234"], ["srun", "mysql", "-p", "[redacted]"]),
        (["mkdir", "-p", "ghp_" + "a1" * 18], ["mkdir", "-p", "[redacted]"]),
        (["7z", "x", "-phunter2", "a.7z"], ["7z", "x", "-p[redacted]", "a.7z"]),
        (
            ["sh", "-c", "mkdir -p out; mysql -h db -phunter2 x | tee -p out/x"],
            ["sh", "-c", "mkdir -p out; mysql -h db -p[redacted] x | tee -p out/x"],
        ),
        (
            ["papermill", "a.ipynb", "b.ipynb", "-p", "data", "x", "-p", "api_token", "hunter2"],
            ["papermill", "a.ipynb", "b.ipynb", "-p", "data", "x", "-p", "api_token", "[redacted]"],
        ),
        (["curl", "-u", "me:hunter2", "h"], ["curl", "-u", "me:[redacted]", "h"]),
        (["docker", "run", "-u", "1000:1000"], ["docker", "run", "-u", "1000:1000"]),
        (["-eTOKEN=abc"], ["-eTOKEN=[redacted]"]),
        (["PGPASSWORD=a b", "psql"], ["PGPASSWORD=[redacted]", "psql"]),
        (["--authtoken", "abc"], ["--authtoken", "[redacted]"]),
        (["+db.password=a b", "++x.api_key=abc"], ["+db.password=[redacted]", "++x.api_key=[redacted]"]),
        (["postgres://u:p@ss@host/db"], ["postgres://[redacted]@host/db"]),
        (["postgres://u:p/w@host/db"], ["postgres://[redacted]@host/db"]),
        (["https://token@host/x.git"], ["https://[redacted]@host/x.git"]),
        (["https://host:8080/a@v1", "me@host:x"], ["https://host:8080/a@v1", "me@host:x"]),
        (
            ["https://b.s3.amazonaws.com/o?X-Amz-Signature=abc&x=1"],
            ["https://b.s3.amazonaws.com/o?X-Amz-Signature=[redacted]&x=1"],
        ),
        (["Server=db;Password=abc;Port=1"], ["Server=db;Password=[redacted];Port=1"]),
        (["AccountName=n;AccountKey=abc==;x=1"], ["AccountName=n;AccountKey=[redacted];x=1"]),
        (["-H", "X-Api-Key: abc"], ["-H", "X-Api-Key: [redacted]"]),
        (["-H", "Cookie: a=abc; b=def"], ["-H", "Cookie: [redacted]"]),
        (["{'password': 'a b, c', 'x': 1}"], ["{'password': '[redacted]', 'x': 1}"]),
        ([r'{"password": "a\"b", "x": 1}'], ['{"password": "[redacted]", "x": 1}']),
        (
            ["sh", "-c", "export TOKEN=a,b; y --password hunter2 --lr 3"],
            ["sh", "-c", "export TOKEN=[redacted]; y --password [redacted] --lr 3"],
        ),
        (["sh", "-c", 'x --token "a b" y'], ["sh", "-c", "x --token [redacted] y"]),
        (["sh", "-c", "curl -u me:pw h && id -u 1:2"], ["sh", "-c", "curl -u me:[redacted] h && id -u 1:2"]),
        (["https://hooks.slack.com/services/T0/B0/abc"], ["https://hooks.slack.com/services/[redacted]"]),
        (["Bearer abcdefgh.ijk"], ["Bearer [redacted]"]),
        (["sk_live_" + "a1" * 10], ["[redacted]"]),
        (["123456789:" + "Aa1_-" * 7], ["[redacted]"]),
        (["--compass", "n", "--pattern=x", "--sort-key", "a"], ["--compass", "n", "--pattern=x", "--sort-key", "a"]),
        (["--prompt", "tokens: 3", "--secretary=x"], ["--prompt", "tokens: 3", "--secretary=x"]),
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
        "mysql -" * 30_000,
    ):
        redact(text)
