"""Several stores as one: replicas that all get what is written, and a local store in front of shared ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from proml.core.digest import sha256
from proml.errors import NotAvailable, ProMLError, UnreachableError, VerificationError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from proml.adapters.store_folder import FolderStore
    from proml.ports import Store


@dataclass(frozen=True, slots=True)
class StoreFailure:
    """What went wrong with one of several stores."""

    store: str
    error: ProMLError


class CompositeStore:
    """Replicas: reads from the first that has the bytes, writes to all.

    Args:
        stores: At least one, in the order in which they are read.
    """

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = tuple(stores)
        self.name = ", ".join(store_name(store) for store in self._stores)

    def put_to_all(self, data: bytes) -> tuple[StoreFailure, ...]:
        """Writes to every store, whatever becomes of the others, and returns which failed and why."""
        failures = []
        for store in self._stores:
            try:
                store.put(data)
            except ProMLError as error:
                failures.append(StoreFailure(store_name(store), error))
        return tuple(failures)

    def put(self, data: bytes) -> bytes:
        """Writes to every store and returns the digest.

        Raises:
            UnreachableError: Some failed; the message names them. The others have the bytes.
        """
        failures = self.put_to_all(data)
        if failures:
            raise UnreachableError(
                f"{len(failures)} of {len(self._stores)} stores did not take sha256:{sha256(data).hex()}: "
                + "; ".join(f"{failure.store}: {failure.error.message}" for failure in failures),
                hint="`proml sync` tries again; what was recorded is safe here.",
            )
        return sha256(data)

    def put_all(self, documents: Sequence[bytes]) -> list[bytes]:
        """Writes documents to every store and returns their digests; raises as :meth:`put`."""
        return [self.put(data) for data in documents]

    def get(self, digest: bytes) -> bytes:
        """Returns the bytes from the first store that has them unharmed.

        Raises:
            VerificationError: No store has them, and at least one has changed ones.
            NotAvailable: All stores answer, and none has them.
            UnreachableError: No store that answers has them.
        """
        failures: list[ProMLError] = []
        for store in self._stores:
            try:
                return store.get(digest)
            except ProMLError as error:
                failures.append(error)
        if not failures:
            raise NotAvailable(f"There is no store to read sha256:{digest.hex()} from.")
        # The gravest first: changed bytes, then a store that did not answer, then bytes that nobody has.
        raise min(failures, key=_gravity)

    def has(self, digest: bytes) -> bool:
        """Tells whether a store has the bytes; raises UnreachableError if none that answers has and one does not."""
        away: ProMLError | None = None
        for store in self._stores:
            try:
                if store.has(digest):
                    return True
            except ProMLError as error:
                away = error
        if away is not None:
            raise away
        return False


class LayeredStore:
    """A local store in front of shared ones: writes locally; reads what it lacks from the others, and keeps a copy.

    Args:
        local: Where everything is written.
        shared: Read in order when the local store does not have the bytes.
    """

    def __init__(self, local: FolderStore, shared: Sequence[Store]) -> None:
        self._local = local
        self._all = CompositeStore((local, *shared))
        self.name = store_name(local)

    def put(self, data: bytes) -> bytes:
        """Stores the bytes in the local store and returns their digest."""
        return self._local.put(data)

    def put_all(self, documents: Sequence[bytes]) -> list[bytes]:
        """Stores documents in the local store and returns their digests."""
        return self._local.put_all(documents)

    def keep_all(self, documents: Sequence[bytes]) -> None:
        """Keeps copies in the local store of what shared ones have."""
        self._local.keep_all(documents)

    def get(self, digest: bytes) -> bytes:
        """Returns the bytes; raises as :meth:`CompositeStore.get`."""
        try:
            return self._local.get(digest)
        except ProMLError:
            # Missing, or damaged: then the copy from a shared store replaces it.
            data = self._all.get(digest)
        self._local.keep_all([data])
        return data

    def has(self, digest: bytes) -> bool:
        """Tells whether any of the stores has the bytes."""
        return self._all.has(digest)


def store_name(store: Store) -> str:
    """Returns what a store is called in messages: its path or URL."""
    return str(getattr(store, "name", type(store).__name__))


def _gravity(error: ProMLError) -> int:
    if isinstance(error, VerificationError):
        return 0
    return 2 if isinstance(error, NotAvailable) else 1
