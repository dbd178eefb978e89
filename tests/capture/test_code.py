from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest

from proml.capture import code
from proml.capture.code import describe_command, describe_git, show_path

if TYPE_CHECKING:
    from pathlib import Path


def git(folder: Path, *arguments: str) -> None:
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_SYSTEM": "/dev/null"}
    who = ["-c", "user.name=x", "-c", "user.email=x@x", "-c", "init.defaultBranch=main"]
    subprocess.run(["git", *who, *arguments], cwd=folder, env=environment, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    git(folder, "init")
    (folder / "train.py").write_text("one\n")
    git(folder, "add", ".")
    git(folder, "commit", "-m", "first")
    return folder


def described(folder: Path, patches: Path | None = None) -> dict[str, Any]:
    found = describe_git(folder, patches)
    assert found is not None
    return found


def test_a_clean_tree_has_commit_and_branch_and_no_difference(repository: Path) -> None:
    found = described(repository)
    assert len(found.pop("commit")) == 40
    assert found == {"branch": "main", "dirty": False}


def test_a_changed_tree_has_the_digest_of_a_patch_that_is_kept(repository: Path, tmp_path: Path) -> None:
    (repository / "train.py").write_text("two\n")
    found = described(repository / ".", tmp_path / "patches")
    (patch,) = (tmp_path / "patches").iterdir()
    assert found["dirty"] is True
    assert found["diff_digest"] == "sha256:" + hashlib.sha256(patch.read_bytes()).hexdigest()
    assert patch.name == found["diff_digest"].removeprefix("sha256:") + ".patch"
    assert b"-one\n+two\n" in patch.read_bytes()


def test_the_digest_does_not_depend_on_what_a_person_prefers_to_see(repository: Path) -> None:
    (repository / "train.py").write_text("two\n")
    plain = described(repository)["diff_digest"]
    for setting in ("diff.noprefix", "diff.mnemonicPrefix", "color.ui", "diff.wordRegex"):
        git(repository, "config", setting, "true")
    git(repository, "config", "color.ui", "always")
    git(repository, "config", "diff.context", "9")
    assert described(repository)["diff_digest"] == plain


def test_credentials_in_the_remote_are_not_recorded(repository: Path) -> None:
    git(repository, "remote", "add", "origin", "https://me:s3cret@example.org/r.git")
    assert described(repository)["remote"] == "https://[redacted]@example.org/r.git"


def test_no_program_that_a_repository_names_is_run(repository: Path, tmp_path: Path) -> None:
    trap = tmp_path / "sprung"
    attack = f"touch {trap}; cat"
    (repository / ".gitattributes").write_text("* filter=evil diff=evil\n")
    for hook in ("post-index-change", "pre-commit", "post-checkout"):
        path = repository / ".git" / "hooks" / hook
        path.write_text(f"#!/bin/sh\ntouch {trap}\n")
        path.chmod(0o700)
    settings = (
        "core.fsmonitor core.pager core.sshCommand core.askPass diff.external diff.evil.command diff.evil.textconv "
        "filter.evil.clean filter.evil.smudge filter.evil.process pager.diff alias.diff credential.helper"
    )
    for setting in settings.split():
        git(repository, "config", setting, attack if setting != "alias.diff" else f"!{attack}")
    git(repository, "config", "filter.evil.required", "true")
    (repository / "train.py").write_text("two\n")
    found = described(repository)
    assert not trap.exists()
    assert found["dirty"] is True
    subprocess.run(["git", "diff"], cwd=repository, check=False, capture_output=True, timeout=10)
    assert trap.exists(), "the trap does not work, so this test shows nothing"


@pytest.mark.parametrize("state", ["no repository", "no commit", "broken", "no git", "slow git"])
def test_what_git_does_not_tell_is_left_out(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    folder = repository
    if state == "no repository":
        folder = tmp_path
    elif state == "no commit":
        folder = tmp_path / "empty"
        folder.mkdir()
        git(folder, "init")
    elif state == "broken":
        (repository / ".git" / "HEAD").write_text("garbage")
    else:
        slow = tmp_path / "bin"
        slow.mkdir()
        if state == "slow git":
            (slow / "git").write_text("#!/bin/sh\nexec sleep 30\n")
            (slow / "git").chmod(0o700)
            monkeypatch.setenv("PATH", f"{slow}:/usr/bin:/bin")
        else:
            monkeypatch.setenv("PATH", str(slow))
        monkeypatch.setattr(code, "GIT_DEADLINE_S", 0.3)
    start = time.monotonic()
    assert describe_git(folder) is None
    assert time.monotonic() - start < 20  # git would sleep for 30


def test_a_detached_head_has_no_branch(repository: Path) -> None:
    git(repository, "checkout", "--detach")
    assert "branch" not in described(repository)


def test_the_entry_point_is_the_script_that_the_command_runs(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text("x")
    digest = "sha256:" + hashlib.sha256(b"x").hexdigest()
    shown = describe_command([sys.executable, "-u", str(script), "3"], tmp_path)
    assert shown["entry_point"] == {"path": "train.py", "digest": digest}
    assert describe_command([str(script)], tmp_path)["entry_point"] == {"path": "train.py", "digest": digest}
    assert "entry_point" not in describe_command(["no-such-program"], tmp_path)


def test_the_entry_point_of_a_running_script_is_the_script(tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        "import sys, pathlib; from proml.capture.code import describe_command\n"
        "print(describe_command(sys.orig_argv, pathlib.Path.cwd())['entry_point']['path'])\n"
    )
    run = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == "train.py\n"


def test_a_very_long_command_line_is_cut(tmp_path: Path) -> None:
    shown = describe_command(["x"] + ["y" * 5_000] * 5_000, tmp_path)["command"]
    assert isinstance(shown, list)
    assert sum(map(len, shown)) <= 100_000


def test_paths_do_not_tell_whose_home_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert show_path(tmp_path / "work" / "a", tmp_path / "work") == "a"
    assert show_path(tmp_path / "home" / "b", tmp_path / "work") == "~/b"
