"""A node hands out what its owner shares, to those who have a token, and takes what their quota allows."""

from __future__ import annotations

import http.client
import json
import select
import socket
import subprocess
import threading
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.contents import Told, giving, manifest_of, new_peer, piece_of, serving, some_bytes, write_files

from proml.adapters.content_node import NodeContents
from proml.adapters.sharing_sqlite import Share, SqliteSharing
from proml.config import Folder
from proml.contents import CHUNK_BYTES, ObjectName, Piece
from proml.core.manifest import SINGLE_FILE
from proml.errors import ConfigError, NotAvailable, ProMLError, UnreachableError, UsageError, VerificationError
from proml.exchange.fetching import fetch
from proml.hashing import find_entries
from proml.node import content_api, content_service

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from proml.contents import Chunks

DATA = some_bytes(2 * CHUNK_BYTES + 3)
PIECE = piece_of(DATA)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "owner")


def share(folder: Folder, data: bytes) -> Path:
    """Shares a file of these bytes and returns it."""
    path = write_files(folder.root / f"shared-{piece_of(data).name.digest.hex()[:8]}", {SINGLE_FILE: data})
    manifest = manifest_of({SINGLE_FILE: data})
    share = Share(manifest.digest, "model@1", str(path), manifest.bytes, 1, len(data))
    entries = find_entries(path)[2]
    SqliteSharing(folder.sharing_file).share(share, [(piece_of(data).name, entries[0].path, entries[0].identity)])
    return path


@contextmanager
def node_of(folder: Folder, token: str, **options: Any) -> Iterator[NodeContents]:
    with serving(folder, **options) as port, closing(NodeContents(f"http://127.0.0.1:{port}", token)) as node:
        yield node


def test_what_is_shared_is_read_in_place(folder: Folder) -> None:
    share(folder, DATA)
    with node_of(folder, new_peer(folder)) as node:
        assert node.size(PIECE.name) == len(DATA)
        assert b"".join(node.read(PIECE.name)) == DATA
        assert b"".join(node.read(PIECE.name, CHUNK_BYTES, 10)) == DATA[CHUNK_BYTES : CHUNK_BYTES + 10]
        manifest = manifest_of({SINGLE_FILE: DATA})
        assert b"".join(node.read(ObjectName("sha256", manifest.digest))) == manifest.bytes


def test_what_is_not_shared_is_not_there(folder: Folder) -> None:
    secret = folder.root / ".proml" / "store"
    write_files(secret, {"record": DATA})
    path = share(folder, DATA)
    with node_of(folder, new_peer(folder)) as node:
        assert node.size(piece_of(b"other").name) is None
        SqliteSharing(folder.sharing_file).unshare(manifest_of({SINGLE_FILE: DATA}).digest)
        assert node.size(PIECE.name) is None
        with pytest.raises(NotAvailable):
            list(node.read(PIECE.name))
    assert path.exists()


def test_a_shared_file_that_changed_is_handed_out_no_more(folder: Folder) -> None:
    path = share(folder, DATA)
    with node_of(folder, new_peer(folder)) as node:
        time.sleep(0.02)
        path.write_bytes(b"x" * len(DATA))
        assert node.size(PIECE.name) is None
        path.unlink()
        path.symlink_to("/etc/passwd")
        assert node.size(PIECE.name) is None


@pytest.mark.parametrize("token", ["", "guess", "x" * 5000])
def test_nobody_gets_in_without_a_token(folder: Folder, token: str) -> None:
    share(folder, DATA)
    right = new_peer(folder)
    with serving(folder) as port:
        for method, path in (("GET", f"/v1/content/sha256/{PIECE.name.digest.hex()}"),
                             ("PUT", f"/v1/uploads/sha256/{PIECE.name.digest.hex()}")):  # fmt: skip
            status, body = ask(port, method, path, token)
            assert status == 401
            assert right not in body.decode()


def test_a_revoked_token_is_void_at_once(folder: Folder) -> None:
    share(folder, DATA)
    with node_of(folder, new_peer(folder, "clinic")) as node:
        assert node.size(PIECE.name)
        SqliteSharing(folder.sharing_file).revoke("clinic")
        with pytest.raises(UsageError, match="401"):
            node.size(PIECE.name)


def test_tokens_are_kept_as_hashes(folder: Folder) -> None:
    token = new_peer(folder)
    assert token.encode() not in folder.sharing_file.read_bytes()
    assert folder.sharing_file.stat().st_mode & 0o077 == 0


def test_a_peer_that_may_read_may_not_place(folder: Folder) -> None:
    with node_of(folder, new_peer(folder)) as node, pytest.raises(UsageError, match="may only read"):
        node.put(PIECE, giving(DATA), Told())


def test_a_quota_is_kept_and_a_refusal_comes_before_the_bytes(folder: Folder) -> None:
    asked: list[int] = []

    def open_at(offset: int) -> Chunks:
        asked.append(offset)
        return giving(DATA)(offset)

    with node_of(folder, new_peer(folder, quota_bytes=len(DATA) + 10)) as node:
        node.put(piece_of(b"x" * 11), giving(b"x" * 11), Told())
        with pytest.raises(UsageError, match="no room"):
            node.put(PIECE, open_at, Told())
        assert asked == []
        node.put(piece_of(b"y" * 11), giving(b"y" * 11), Told())
    assert SqliteSharing(folder.sharing_file).peers()[0].placed_bytes == 22


def test_wrong_bytes_do_not_use_up_a_quota(folder: Folder) -> None:
    token = new_peer(folder, quota_bytes=len(DATA))
    with serving(folder) as port:
        wrong = b"x" * len(DATA)
        headers = {"Upload-Offset": "0", "Upload-Length": str(len(DATA))}
        status, body = ask(port, "PUT", f"/v1/uploads/sha256/{PIECE.name.digest.hex()}", token, wrong, headers)
        assert (status, json.loads(body)["error"]["type"]) == (422, "VerificationError")
    assert SqliteSharing(folder.sharing_file).peers()[0].placed_bytes == 0
    assert [path for path in folder.content_folder.rglob("*") if path.is_file()] == []


def test_a_push_that_was_cut_off_goes_on_where_it_stopped(folder: Folder) -> None:
    asked: list[int] = []

    def open_at(offset: int) -> Chunks:
        asked.append(offset)
        return giving(DATA)(offset)

    def cut(offset: int) -> Chunks:
        yield DATA[offset : offset + CHUNK_BYTES + 7]
        raise UnreachableError("cut off")

    with node_of(folder, new_peer(folder, quota_bytes=1 << 30)) as node:
        with pytest.raises(UnreachableError, match="cut off"):
            node.put(PIECE, cut, Told())
        until(lambda: bool([path for path in folder.content_folder.rglob(".unfinished-*") if path.stat().st_size]))
        until(lambda: put_unless_busy(node, open_at))
        assert asked[-1] > 0
        assert b"".join(node.read(PIECE.name)) == DATA


def test_a_part_that_was_damaged_meanwhile_is_sent_again(folder: Folder) -> None:
    partial = folder.content_folder / PIECE.name.path
    partial.parent.mkdir(parents=True)
    partial.with_name(f".unfinished-{partial.name}").write_bytes(b"x" * 100)
    told = Told()
    with node_of(folder, new_peer(folder, quota_bytes=1 << 30)) as node:
        node.put(PIECE, giving(DATA), told)
        assert b"".join(node.read(PIECE.name)) == DATA
    assert told.bytes == len(DATA)


def test_one_peer_s_false_announcement_does_not_keep_another_out(folder: Folder) -> None:
    bad, good = new_peer(folder, "bad", quota_bytes=1 << 30), new_peer(folder, "good", quota_bytes=1 << 30)
    with serving(folder) as port:
        headers = {"Upload-Offset": "0", "Upload-Length": "5"}
        assert ask(port, "PUT", f"/v1/uploads/sha256/{PIECE.name.digest.hex()}", bad, b"xxxxx", headers)[0] == 422
        with closing(NodeContents(f"http://127.0.0.1:{port}", good)) as node:
            node.put(PIECE, giving(DATA), Told())
            assert node.size(PIECE.name) == len(DATA)


@pytest.mark.parametrize("sent", [b"", b"x", DATA + b"x"])
def test_a_false_announcement_harms_nothing_that_is_here(folder: Folder, sent: bytes) -> None:
    good, bad = new_peer(folder, "good", quota_bytes=len(DATA)), new_peer(folder, "bad", quota_bytes=len(sent) + 1)
    with serving(folder) as port, closing(NodeContents(f"http://127.0.0.1:{port}", good)) as node:
        node.put(PIECE, giving(DATA), Told())
        headers = {"Upload-Offset": "0", "Upload-Length": str(len(sent))}
        status, body = ask(port, "PUT", f"/v1/uploads/sha256/{PIECE.name.digest.hex()}", bad, sent, headers)
        assert (status, json.loads(body)["error"]["type"]) == (422, "VerificationError")
        assert b"".join(node.read(PIECE.name)) == DATA
    assert {peer.name: peer.placed_bytes for peer in SqliteSharing(folder.sharing_file).peers()} == {
        "good": len(DATA), "bad": 0,
    }  # fmt: skip


@pytest.mark.parametrize("harm", [lambda data: b"x" + data[1:], lambda data: data[:-5]], ids=["changed", "cut"])
def test_what_was_damaged_here_is_taken_anew(folder: Folder, harm: Callable[[bytes], bytes]) -> None:
    with node_of(folder, new_peer(folder, quota_bytes=len(DATA))) as node:
        node.put(PIECE, giving(DATA), Told())
        path = folder.content_folder / PIECE.name.path
        path.write_bytes(harm(DATA))
        node.put(PIECE, giving(DATA), Told())
        assert path.read_bytes() == DATA


def test_wrong_bytes_for_what_was_damaged_here_are_not_taken_and_stay_charged(folder: Folder) -> None:
    token = new_peer(folder, quota_bytes=len(DATA))
    with serving(folder) as port, closing(NodeContents(f"http://127.0.0.1:{port}", token)) as node:
        node.put(PIECE, giving(DATA), Told())
        (folder.content_folder / PIECE.name.path).write_bytes(b"damaged")
        headers = {"Upload-Offset": "0", "Upload-Length": str(len(DATA))}
        wrong = b"x" * len(DATA)
        assert ask(port, "PUT", f"/v1/uploads/sha256/{PIECE.name.digest.hex()}", token, wrong, headers)[0] == 422
    assert (folder.content_folder / PIECE.name.path).read_bytes() == b"damaged"
    assert SqliteSharing(folder.sharing_file).peers()[0].placed_bytes == len(DATA)


def test_nothing_of_an_object_without_bytes_is_read(folder: Folder) -> None:
    empty = piece_of(b"")
    share(folder, b"")
    with node_of(folder, new_peer(folder)) as node:
        assert node.size(empty.name) == 0
        assert list(node.read(empty.name, 0, 0)) == []
        assert list(node.read(empty.name)) == []


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/v1/content/md5/00", {}, 400),
        ("GET", "/v1/content/sha256/..%2f..%2f..%2fetc%2fpasswd", {}, 404),
        ("GET", "/v1/content/sha256/" + "A" * 64, {}, 400),
        ("GET", "/v1/uploads/sha256/" + "a" * 64, {}, 400),
        ("PUT", "/v1/uploads/sha256/" + "a" * 64, {}, 400),
        ("PUT", "/v1/uploads/sha256/" + "a" * 64, {"Upload-Offset": "-1", "Upload-Length": "5"}, 400),
        ("PUT", "/v1/uploads/sha256/" + "a" * 64, {"Upload-Offset": "3", "Upload-Length": "5"}, 409),
        ("PUT", "/v1/uploads/sha256/" + "a" * 64, {"Upload-Offset": "0", "Upload-Length": "9" * 18}, 403),
        ("DELETE", "/v1/content/sha256/" + "a" * 64, {}, 405),
    ],
)
def test_what_makes_no_sense_is_refused(
    folder: Folder, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    token = new_peer(folder, quota_bytes=1000)
    with serving(folder) as port:
        assert ask(port, method, path, token, b"" if method == "PUT" else None, headers)[0] == status


@pytest.mark.parametrize("wanted", ["bytes=9-3", "bytes=99999999999-", "bytes=-5", "lines=1-2", "bytes=0-1,5-6"])
def test_a_range_that_cannot_be_met_is_refused(folder: Folder, wanted: str) -> None:
    share(folder, DATA)
    with serving(folder) as port:
        path = f"/v1/content/sha256/{PIECE.name.digest.hex()}"
        assert ask(port, "GET", path, new_peer(folder), headers={"Range": wanted})[0] == 416


def test_one_peer_does_not_use_up_the_node(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_service, "MOST_AT_ONCE", 2)
    data = some_bytes(30 * CHUNK_BYTES)
    share(folder, data)
    greedy, other = new_peer(folder, "greedy"), new_peer(folder, "other")
    with serving(folder) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
        for connection in held:  # asks, and does not read the answer
            path = f"/v1/content/sha256/{piece_of(data).name.digest.hex()}"
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {greedy}\r\n\r\n".encode())
            connection.recv(100)
        path = f"/v1/content/sha256/{piece_of(data).name.digest.hex()}"
        assert ask(port, "HEAD", path, greedy)[0] == 429
        assert ask(port, "HEAD", path, other)[0] == 200
        for connection in held:
            connection.close()
        until(lambda: ask(port, "HEAD", path, greedy)[0] == 200)


def test_a_peer_that_sends_slowly_leaves_room_for_others(folder: Folder) -> None:
    slow, other = new_peer(folder, "slow", quota_bytes=1 << 30), new_peer(folder, "other", quota_bytes=1 << 30)
    with serving(folder) as port:
        held = []
        for number in range(content_service.MOST_UPLOADS_EACH + 2):
            connection = socket.create_connection(("127.0.0.1", port), timeout=20)
            digest = piece_of(b"%d" % number * 1000).name.digest.hex()
            fields = f"Authorization: Bearer {slow}\r\nUpload-Offset: 0\r\nUpload-Length: 1000\r\nContent-Length: 1000"
            head = f"PUT /v1/uploads/sha256/{digest} HTTP/1.1\r\nHost: x\r\n{fields}\r\n\r\n"
            connection.sendall(head.encode() + b"x")
            held.append(connection)
        try:
            until(lambda: len(select.select(held, [], [], 0)[0]) == 2)
            assert all(b" 429 " in connection.recv(100) for connection in select.select(held, [], [], 0)[0])
            with closing(NodeContents(f"http://127.0.0.1:{port}", other)) as node:
                node.put(PIECE, giving(DATA), Told())
        finally:
            for connection in held:
                connection.close()


def test_a_peer_that_stalls_while_it_sends_is_given_up(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(content_api, "STALLED_S", 0.3)
    token = new_peer(folder, quota_bytes=1 << 30)
    with serving(folder) as port, closing(socket.create_connection(("127.0.0.1", port), timeout=20)) as connection:
        fields = {"Authorization": f"Bearer {token}", "Upload-Offset": 0, "Upload-Length": len(DATA),
                  "Content-Length": len(DATA)}  # fmt: skip
        head = f"PUT /v1/uploads/sha256/{PIECE.name.digest.hex()} HTTP/1.1\r\nHost: x\r\n"
        head += "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
        connection.sendall(head.encode() + DATA[:1000])
        assert b" 408 " in connection.recv(100)
    assert [path.stat().st_size for path in folder.content_folder.rglob(".unfinished-*")] == [1000]


# --------------------------------------------------------------------------------------------- nodes that do harm


@contextmanager
def answering(answer: Callable[[str], Iterator[bytes]], context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answers each connection's first request with whatever bytes ``answer`` makes of its head."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve(plain: socket.socket) -> None:
            try:
                connection = context.wrap_socket(plain, server_side=True) if context else plain
                with connection:
                    head = connection.recv(65536).decode("latin-1")
                    for part in answer(head):
                        connection.sendall(part)
            except OSError:
                plain.close()

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


OK = b"HTTP/1.1 200 OK\r\n"


def wrong(head: str) -> Iterator[bytes]:
    yield OK + f"Content-Length: {len(DATA)}\r\n\r\n".encode()
    if not head.startswith("HEAD"):
        yield b"x" * len(DATA)


def endless(_head: str) -> Iterator[bytes]:
    yield OK + b"\r\n" + DATA
    while True:
        yield b"x" * 65536


def too_few(_head: str) -> Iterator[bytes]:
    yield OK + f"Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:-1]


def too_few_and_says_so(_head: str) -> Iterator[bytes]:
    yield OK + b"Content-Length: 5\r\n\r\n" + DATA[:5]


def stalling(_head: str) -> Iterator[bytes]:
    yield OK + f"Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA[:1000]
    time.sleep(5)


def elsewhere(_head: str) -> Iterator[bytes]:
    yield b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/secret\r\nContent-Length: 0\r\n\r\n"


def no_http(_head: str) -> Iterator[bytes]:
    yield b"SSH-2.0-OpenSSH_9.2\r\n"


def endless_head(_head: str) -> Iterator[bytes]:
    yield OK
    while True:
        yield b"X-More: " + b"x" * 60000 + b"\r\n"


def dripping_head(_head: str) -> Iterator[bytes]:
    yield OK + b"X-More: "
    while True:
        time.sleep(0.05)
        yield b"x"


def ignoring_the_range(_head: str) -> Iterator[bytes]:
    yield OK + f"Content-Length: {len(DATA)}\r\n\r\n".encode() + DATA


HARMFUL = [wrong, endless, too_few, too_few_and_says_so, stalling, elsewhere, no_http, endless_head,
           dripping_head]  # fmt: skip


@pytest.mark.parametrize("answer", HARMFUL, ids=lambda answer: answer.__name__)
def test_a_node_that_does_harm_is_told_and_the_next_one_asked(
    folder: Folder, tmp_path: Path, answer: Callable[[str], Iterator[bytes]]
) -> None:
    share(folder, DATA)
    manifest = manifest_of({SINGLE_FILE: DATA})
    with (
        answering(answer) as port,
        node_of(folder, new_peer(folder)) as honest,
        closing(NodeContents(f"http://127.0.0.1:{port}", "token")) as harmful,
    ):
        harmful.timeout_s = 0.5
        done = fetch(manifest, tmp_path / "model", [harmful, honest])
        assert (tmp_path / "model").read_bytes() == DATA
        assert list(done.faults) == [harmful.where]
        assert list(done.sources) == [honest.where]
        with pytest.raises((UnreachableError, VerificationError)):
            fetch(manifest, tmp_path / "other", [harmful])
        assert not (tmp_path / "other").exists()


def test_a_node_that_ignores_the_range_is_not_taken_for_one_that_goes_on(tmp_path: Path) -> None:
    with answering(ignoring_the_range) as port, closing(NodeContents(f"http://127.0.0.1:{port}", "token")) as node:
        with pytest.raises(ProMLError, match="answered 200"):
            list(node.read(PIECE.name, 5))
        assert b"".join(node.read(PIECE.name)) == DATA
    assert not list(tmp_path.iterdir())


# ------------------------------------------------------------------------------------------------------------ TLS


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


def make_certificate(folder: Path) -> tuple[Path, Path]:
    cert, key = folder / "node.crt", folder / "node.key"
    words = ("req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=node "
             "-addext subjectAltName=IP:127.0.0.1")  # fmt: skip
    command = ["openssl", *words.split(), "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    return cert, key


def test_content_passes_over_tls_with_a_pinned_certificate(folder: Folder, certificate: tuple[Path, Path]) -> None:
    share(folder, DATA)
    cert, key = certificate
    token = new_peer(folder, quota_bytes=1 << 30)
    with (
        serving(folder, ssl_certfile=cert, ssl_keyfile=key) as port,
        closing(NodeContents(f"https://127.0.0.1:{port}", token, cert)) as node,
    ):
        assert b"".join(node.read(PIECE.name)) == DATA
        node.put(piece_of(b"copy"), giving(b"copy"), Told())
        assert node.size(piece_of(b"copy").name) == 4


def test_another_certificate_is_not_spoken_to(folder: Folder, certificate: tuple[Path, Path], tmp_path: Path) -> None:
    cert, key = certificate
    (tmp_path / "other").mkdir()
    other, _ = make_certificate(tmp_path / "other")
    with serving(folder, ssl_certfile=cert, ssl_keyfile=key) as port:
        for pinned in (other, None):
            node = NodeContents(f"https://127.0.0.1:{port}", "token", pinned)
            with pytest.raises(UnreachableError, match="certificate"):
                node.size(PIECE.name)


URLS = ["http://10.0.0.1:8700", "http://node.example", "ftp://127.0.0.1", "https://a:b@host", "https://"]


@pytest.mark.parametrize("url", URLS)
def test_a_token_is_not_sent_where_anybody_could_read_it(url: str) -> None:
    with pytest.raises(ConfigError, match="https://"):
        NodeContents(url, "token")


def test_a_broken_certificate_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "node.crt").write_text("nonsense")
    with pytest.raises(ConfigError, match=r"node\.crt"):
        NodeContents("https://127.0.0.1:1", "token", tmp_path / "node.crt")


# --------------------------------------------------------------------------------------------------------- helpers


def ask(  # noqa: PLR0917 - as HTTP writes them
    port: int, method: str, path: str, token: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as connection:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}", **(headers or {})})
        response = connection.getresponse()
        return response.status, response.read()


def until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.02)


def put_unless_busy(node: NodeContents, open_at: Callable[[int], Chunks]) -> bool:
    """Puts; false while the node still holds what the first attempt sent."""
    try:
        node.put(Piece(PIECE.name, len(DATA)), open_at, Told())
    except UnreachableError as error:
        if "409" not in str(error):
            raise
        return False
    return True
