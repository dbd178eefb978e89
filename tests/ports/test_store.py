"""The Store port, one suite on every adapter, and what each adapter adds."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proml.adapters.store_folder import FolderStore, document_path
from proml.adapters.store_fsspec import FsspecStore, open_store
from proml.adapters.store_many import CompositeStore, LayeredStore
from proml.core.digest import sha256
from proml.errors import (
    ConfigError,
    ContentError,
    LocalStorageError,
    MissingExtra,
    NotAvailable,
    UnreachableError,
    UsageError,
    VerificationError,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.minio import Minio

    from proml.ports import Store

Maker = Callable[..., Any]


PLACES = os.environ.get("PROML_TEST_PLACES", "folder file memory composite layered").split()


@pytest.fixture(params=PLACES)
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Maker:
    """Returns what opens the same store each time it is called."""
    memory = f"memory://{uuid.uuid4().hex}"

    def opened(**options: Any) -> Store:
        match request.param:
            case "s3":
                minio: Minio = request.getfixturevalue("minio")
                url = f"{minio.url}/{memory.rpartition('/')[2]}"
                return FsspecStore(url, options={"endpoint_url": minio.endpoint}, **options)
            case "folder":
                return FolderStore(tmp_path / "store", **options)
            case "file":
                return FsspecStore(f"file://{tmp_path}/store", **options)
            case "memory":
                return FsspecStore(memory, **options)
            case "composite":
                return CompositeStore([FolderStore(tmp_path / f"store{n}", **options) for n in range(2)])
            case _:
                return LayeredStore(FolderStore(tmp_path / "store", **options), [FsspecStore(memory, **options)])

    return opened


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20, deadline=None)
@given(data=st.binary(max_size=5000))
def test_what_was_put_comes_back_by_its_sha256(make: Maker, data: bytes) -> None:
    digest = make().put(data)
    assert digest == sha256(data)
    assert make().get(digest) == data
    assert make().has(digest)


def test_putting_the_same_bytes_again_has_no_effect(make: Maker) -> None:
    assert make().put(b"record") == make().put(b"record")
    assert make().get(sha256(b"record")) == b"record"


@pytest.mark.parametrize("count", [0, 1, 3, 40])
def test_documents_put_together_are_all_there_in_order(make: Maker, count: int) -> None:
    documents = [b"record %d" % (number % 30) for number in range(count)]
    digests = make().put_all(documents)
    assert digests == [sha256(data) for data in documents]
    assert [make().get(digest) for digest in digests] == documents


def test_of_documents_put_together_one_too_large_is_told(make: Maker) -> None:
    with pytest.raises((ContentError, UnreachableError), match="at most 10"):
        make(max_bytes=10).put_all([b"small", b"x" * 11])


def test_what_was_never_put_is_not_available(make: Maker) -> None:
    missing = sha256(b"never")
    assert not make().has(missing)
    with pytest.raises(NotAvailable, match=missing.hex()):
        make().get(missing)


def test_a_document_over_the_limit_is_not_taken(make: Maker) -> None:
    with pytest.raises((ContentError, UnreachableError), match="at most 10"):
        make(max_bytes=10).put(b"x" * 11)
    assert make(max_bytes=10).put(b"x" * 10)


def test_a_document_over_the_limit_is_not_read(make: Maker) -> None:
    digest = make().put(b"x" * 100)
    with pytest.raises(ContentError, match="at most 10"):
        make(max_bytes=10).get(digest)


@pytest.mark.parametrize("digest", [b"", b"short", b"../../../../etc/passwd", b"x" * 33])
def test_what_is_no_digest_never_becomes_a_path(make: Maker, digest: bytes) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        make().has(digest)
    with pytest.raises(UsageError, match="32 bytes"):
        make().get(digest)


# -------------------------------------------------------------------------------------------- folders, both adapters


@pytest.fixture(params=["folder", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FolderStore | FsspecStore:
    root = tmp_path / "store"
    return FolderStore(root) if request.param == "folder" else FsspecStore(f"file://{root}")


def placed(tmp_path: Path, digest: bytes) -> Path:
    return tmp_path / "store" / document_path(digest)


def test_the_layout_is_two_digits_then_the_rest(tmp_path: Path, store: Store) -> None:
    digest = store.put(b"record")
    digits = digest.hex()
    assert (tmp_path / "store" / "sha256" / digits[:2] / digits[2:]).read_bytes() == b"record"


def test_one_changed_bit_is_seen_on_reading(tmp_path: Path, store: Store) -> None:
    digest = store.put(b"record")
    placed(tmp_path, digest).write_bytes(b"recore")
    with pytest.raises(VerificationError) as caught:
        store.get(digest)
    message = str(caught.value)
    assert digest.hex() in message
    assert sha256(b"recore").hex() in message
    assert str(placed(tmp_path, digest)) in message


def test_putting_again_replaces_what_was_damaged(tmp_path: Path, store: Store) -> None:
    digest = store.put(b"record")
    placed(tmp_path, digest).write_bytes(b"damaged")
    store.put(b"record")
    assert store.get(digest) == b"record"


def test_nothing_unfinished_is_left_behind(tmp_path: Path, store: Store) -> None:
    digest = store.put(b"record")
    assert [path.name for path in placed(tmp_path, digest).parent.iterdir()] == [digest.hex()[2:]]


def test_a_write_that_fails_leaves_nothing_behind(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(LocalStorageError, match=r"disk is full|No space left"):
        store.put(b"record")
    monkeypatch.undo()
    assert not [path for path in (tmp_path / "store").rglob("*") if path.is_file()]
    assert store.get(store.put(b"record")) == b"record"


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path, store: Store) -> None:
    (tmp_path / "store").write_text("in the way")
    with pytest.raises((LocalStorageError, NotAvailable), match="store"):
        store.put(b"record")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_said(tmp_path: Path, store: Store) -> None:
    (tmp_path / "store").mkdir(mode=0o500)
    with pytest.raises(LocalStorageError, match="Permission denied"):
        store.put(b"record")


def test_a_fifo_in_the_place_of_a_document_does_not_hang(tmp_path: Path) -> None:
    store = FolderStore(tmp_path / "store")
    digest = store.put(b"record")
    placed(tmp_path, digest).unlink()
    os.mkfifo(placed(tmp_path, digest))
    with pytest.raises(VerificationError, match="not a regular file"):
        store.get(digest)


def _put_many(root: str) -> None:
    store = FolderStore(root)
    for number in range(20):
        store.put(f"record {number}".encode())


def test_many_processes_put_the_same_documents_at_once(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_put_many, args=(str(tmp_path / "store"),)) for _ in range(8)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0] * 8
    store = FolderStore(tmp_path / "store")
    assert all(store.get(sha256(f"record {number}".encode())) for number in range(20))


def test_a_document_survives_a_kill_right_after_put(tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from proml.adapters.store_folder import FolderStore\n"
        f"FolderStore({str(tmp_path)!r}).put(b'record')\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    assert FolderStore(tmp_path).get(sha256(b"record")) == b"record"


# --------------------------------------------------------------------------------------------------------- URLs


def test_folders_need_no_fsspec(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), FolderStore)
    assert isinstance(open_store(f"file://{tmp_path}"), FolderStore)
    assert isinstance(open_store("memory://x"), FsspecStore)


def test_both_adapters_share_one_layout(tmp_path: Path) -> None:
    digest = FolderStore(tmp_path).put(b"record")
    assert FsspecStore(f"file://{tmp_path}").get(digest) == b"record"


def test_an_unknown_kind_of_url_is_said() -> None:
    with pytest.raises(ConfigError, match="nonsense"):
        open_store("nonsense://x")


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtra, match="fsspec"):
        FsspecStore("memory://x")


def test_a_password_in_the_url_is_not_shown() -> None:
    with pytest.raises((ConfigError, MissingExtra, UnreachableError)) as caught:
        open_store("nonsense://user:secret@host/folder")
    assert "secret" not in caught.value.message


def test_whatever_a_back_end_raises_is_called_unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    class StrangeError(Exception):
        pass

    def fail(*_args: object, **_options: object) -> None:
        raise StrangeError("the cloud is away")

    store = FsspecStore(f"memory://{uuid.uuid4().hex}")
    for step in ("info", "isfile", "open", "makedirs"):
        monkeypatch.setattr(store._files, step, fail, raising=False)
    for use in (lambda: store.put(b"x"), lambda: store.get(bytes(32)), lambda: store.has(bytes(32))):
        with pytest.raises(UnreachableError, match="the cloud is away"):
            use()


def test_a_copy_that_was_damaged_before_it_was_on_disk_is_fetched_again(tmp_path: Path) -> None:
    local, shared = FolderStore(tmp_path / "store"), FolderStore(tmp_path / "shared")
    digest = shared.put(b"record")
    layered = LayeredStore(local, [shared])
    assert layered.get(digest) == b"record"
    assert placed(tmp_path, digest).read_bytes() == b"record"
    placed(tmp_path, digest).write_bytes(b"")  # as a power failure leaves it
    assert layered.get(digest) == b"record"
    assert placed(tmp_path, digest).read_bytes() == b"record"


def test_a_kept_copy_that_is_put_is_durable(tmp_path: Path, synced: set[Path]) -> None:
    store = FolderStore(tmp_path / "store")
    store.keep_all([b"record"])
    assert not synced
    digest = store.put(b"record")
    assert {placed(tmp_path, digest), placed(tmp_path, digest).parent} <= synced


# -------------------------------------------------------------------------------------------------- many stores


class Away:
    """A store that does not answer."""

    name = "s3://away"

    def put(self, data: bytes) -> bytes:
        raise UnreachableError("no answer")

    def put_all(self, documents: Sequence[bytes]) -> list[bytes]:
        raise UnreachableError("no answer")

    def get(self, digest: bytes) -> bytes:
        raise UnreachableError("no answer")

    def has(self, digest: bytes) -> bool:
        raise UnreachableError("no answer")


def test_replicas_are_read_in_order_past_damaged_and_silent_ones(tmp_path: Path) -> None:
    first, last = FolderStore(tmp_path / "first"), FolderStore(tmp_path / "last")
    digest = first.put(b"record")
    last.put(b"record")
    (tmp_path / "first" / document_path(digest)).write_bytes(b"damaged")
    assert CompositeStore([Away(), first, last]).get(digest) == b"record"


def test_a_damaged_replica_is_told_when_no_other_has_the_bytes(tmp_path: Path) -> None:
    first, last = FolderStore(tmp_path / "first"), FolderStore(tmp_path / "last")
    digest = first.put(b"record")
    (tmp_path / "first" / document_path(digest)).write_bytes(b"damaged")
    with pytest.raises(VerificationError):
        CompositeStore([last, Away(), first]).get(digest)


def test_replicas_that_failed_are_named_and_the_others_have_the_bytes(tmp_path: Path) -> None:
    good = FolderStore(tmp_path / "good")
    stores = CompositeStore([Away(), good])
    with pytest.raises(UnreachableError, match=r"1 of 2 stores .* s3://away"):
        stores.put(b"record")
    assert good.has(sha256(b"record"))
    assert [failure.store for failure in stores.put_to_all(b"other")] == ["s3://away"]


def test_a_silent_replica_is_not_taken_for_one_that_lacks_the_bytes(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="no answer"):
        CompositeStore([FolderStore(tmp_path), Away()]).has(bytes(32))


def test_a_local_store_keeps_what_it_read_from_a_shared_one(tmp_path: Path) -> None:
    local, shared = FolderStore(tmp_path / "local"), FolderStore(tmp_path / "shared")
    digest = shared.put(b"record")
    assert LayeredStore(local, [shared]).get(digest) == b"record"
    assert local.get(digest) == b"record"


def test_a_local_store_does_not_write_to_shared_ones(tmp_path: Path) -> None:
    local, shared = FolderStore(tmp_path / "local"), FolderStore(tmp_path / "shared")
    digest = LayeredStore(local, [shared]).put(b"record")
    assert local.has(digest)
    assert not shared.has(digest)
