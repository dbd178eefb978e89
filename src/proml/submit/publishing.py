"""Documents before transactions: what a transaction commits to is in the workspace's stores before it is sent."""

from __future__ import annotations

import contextlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from proml.core.digest import format_digest, parse_digest
from proml.core.record import SALT_BYTES, build_record
from proml.errors import NotAvailable, ProMLError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from proml.core.intent import TransitionIntent
    from proml.ports import Clock, Entry, LocalStore, Store
    from proml.submit.patience import Patience


class Publisher:
    """Copies documents from the local store to the workspace's stores, each once.

    Args:
        local: Where records were put when they were made.
        stores: Where members publish.
        clock: Waits between tries.
        patience: How often a store that does not answer is tried.
    """

    def __init__(self, local: LocalStore, stores: Sequence[Store], clock: Clock, patience: Patience) -> None:
        self._local = local
        self._stores = tuple(stores)
        self._clock = clock
        self._patience = patience
        self._published: set[bytes] = set()
        self._made: dict[bytes, bytes] = {}  # by digest, not yet stored
        # A store that was away is not tried again for every entry of this delivery.
        self._away: dict[int, ProMLError] = {}

    def publish(self, digests: Iterable[bytes]) -> None:
        """Puts documents into every store.

        Raises:
            NotAvailable: The local store does not have one, nor do all the others.
            VerificationError: The local copy was changed.
            UnreachableError: A store did not take one; the others have it.
        """
        for digest in digests:
            if digest not in self._published:
                self._publish(digest)
                self._published.add(digest)

    def foresee(self, digests: Iterable[bytes]) -> None:
        """Puts documents into every store together; what does not succeed is left for :meth:`publish` to tell."""
        wanted = list(dict.fromkeys(digest for digest in digests if digest not in self._published))
        if len(wanted) > 1:
            self._put_everywhere(wanted, self._local.get)

    def _put_everywhere(self, digests: Collection[bytes], read: Callable[[bytes], bytes]) -> None:
        if not self._stores or self._away:
            return
        try:
            for store in self._stores:
                store.put_all([read(digest) for digest in digests if not store.has(digest)])
        except ProMLError:
            return
        self._published.update(digests)

    @contextlib.contextmanager
    def meanwhile(self, digests: Collection[bytes]) -> Iterator[None]:
        """Does what :meth:`foresee` does while the caller goes on; it is done when the caller's block ends."""
        if not digests:
            yield
            return
        with ThreadPoolExecutor(1, thread_name_prefix="proml-publisher") as pool:
            done = pool.submit(self.foresee, digests)
            yield
            done.result()

    def _publish(self, digest: bytes) -> None:
        if not self._stores and not self._local.has(digest):
            raise NotAvailable(
                f"The local store does not have the document {format_digest(digest)} that is to be recorded.",
                hint="Restore .proml/store from a backup, or give the entry up with `proml sync --drop`.",
            )
        failures = []
        for position, store in enumerate(self._stores):
            try:
                self._copy(digest, position, store)
            except UnreachableError as error:
                if not isinstance(error, NotAvailable):
                    self._away[position] = error
                failures.append(f"{_name(store)}: {error.message}")
            except ProMLError as error:
                failures.append(f"{_name(store)}: {error.message}")
        if failures:
            raise UnreachableError(
                f"{len(failures)} of the workspace's {len(self._stores)} stores did not take a record, so nothing was "
                f"sent: {'; '.join(failures)}",
                hint="What was recorded is safe in the outbox; `proml sync` tries again.",
            )

    def _copy(self, digest: bytes, position: int, store: Store) -> None:
        if position in self._away:
            raise self._away[position]
        if not self._patience.attempt(lambda: store.has(digest), self._clock):
            data = self._local.get(digest)
            self._patience.attempt(lambda: store.put(data), self._clock)

    def registration_record(self, entry: Entry, typed: TransitionIntent) -> bytes:
        """Returns the digest of the record with which an entry registers its artefact on the way.

        Made once: the caller keeps the digest in the entry's detail under ``registration``, and stores it with
        :meth:`publish_made` before anything is sent.
        """
        known = entry.detail.get("registration")
        if isinstance(known, str):
            return parse_digest(known)
        record = build_record(
            "registration",
            created_ns=entry.created_ns,
            salt=secrets.token_bytes(SALT_BYTES),
            artefact={"name": typed.name, "kind": typed.kind},
        )
        self._made[record.digest] = record.bytes
        return record.digest

    def publish_made(self) -> None:
        """Puts the records that were made into every store; what does not succeed is left for :meth:`publish` to tell.

        The local store gets them too; where there are others, which have them before anything is sent, as a copy.

        Raises:
            LocalStorageError: The local store cannot be written.
        """
        made = list(self._made.values())
        if not made:
            return
        self._put_everywhere(self._made, self._made.__getitem__)
        if self._stores:
            self._local.keep_all(made)
        else:
            self._local.put_all(made)
        self._made.clear()


def _name(store: Store) -> str:
    return str(getattr(store, "name", type(store).__name__))
