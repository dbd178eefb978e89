"""The whole node as a process: content is fetched from it and placed in it over TLS, while it is killed."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest
from tests.contents import read_files, some_bytes, write_files
from tests.node.test_content import make_certificate
from tests.processes import command, sizes, until

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator
    from pathlib import Path

    from tests.node.conftest import RunningNode

pytestmark = pytest.mark.slow

# Large enough that a kill hits the middle on any machine.
FILES = {f"{number}.bin": some_bytes(20_000 + number, number) for number in range(10)} | {
    "large": some_bytes(192 << 20)
}


@pytest.fixture(scope="module")
def content_node(one_node: RunningNode, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningNode]:
    """A node over TLS that shares a data set; the member itself is its peer."""
    write_files(one_node.folder / "data", FILES)
    one_node.proml("act", "tumours", "collect", "data", "--kind", "source")
    one_node.proml("content", "share", "tumours", "data")
    folder = tmp_path_factory.mktemp("tls")
    one_node.proml("node", "token", "new", "peer", "--may-put", "1G", "-o", folder / "token")
    cert, key = make_certificate(folder)
    one_node.tls = (cert, key)
    one_node.start()
    one_node.proml("content", "place", "add", "node", one_node.url, "--token-file", folder / "token", "--ca-file", cert)
    yield one_node
    one_node.end()


def underway(node: RunningNode, *words: object) -> subprocess.Popen[str]:
    return command(node.home, node.folder, "content", *words, "--json")


def test_a_node_killed_in_the_middle_of_a_fetch_costs_only_the_rest(content_node: RunningNode, tmp_path: Path) -> None:
    partial = tmp_path / "data" / ".proml" / "partial"
    with underway(content_node, "fetch", "tumours", "-o", tmp_path / "data", "--from", "node") as process:
        until(lambda: max(sizes(partial, "sha256-*"), default=0) > 4 << 20)  # of the large one: others come and go
        content_node.end(signal.SIGKILL)
        assert process.wait(60) == 5, process.communicate()
    assert max(sizes(partial, "sha256-*")) > 4 << 20
    content_node.start()
    content_node.proml("content", "fetch", "tumours", "-o", tmp_path / "data", "--from", "node")
    assert read_files(tmp_path / "data") == FILES


def test_a_node_killed_in_the_middle_of_a_push_goes_on_where_it_stopped(content_node: RunningNode) -> None:
    content_node.proml("content", "unshare", "tumours")
    placed = content_node.folder / ".proml" / "content"
    with underway(content_node, "push", "tumours", "data", "--to", "node") as process:
        until(lambda: max(sizes(placed, ".unfinished-*"), default=0) > 4 << 20)
        content_node.end(signal.SIGKILL)
        assert process.wait(60) == 5, process.communicate()
    assert max(sizes(placed, ".unfinished-*")) > 4 << 20
    content_node.start()
    before = {path: path.stat().st_ino for path in placed.rglob(".unfinished-*")}
    content_node.proml("content", "push", "tumours", "data", "--to", "node")
    assert not list(placed.rglob(".unfinished-*"))
    # The parts that had come were continued, not begun anew: they are the files that are there now.
    assert set(before.values()) <= {path.stat().st_ino for path in placed.rglob("*")}
    assert content_node.proml("content", "check", "tumours", "--at", "node")["places"][0]["verdict"] == "good"
