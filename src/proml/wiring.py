"""The only place where adapters meet stages: opens a participant's working folder.

Everything is opened when it is first used, so that a command which only reads imports no EVM, unlocks no key and
touches no file that it does not need.
"""

from __future__ import annotations

import os
import sys
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Self

from proml.config import Config, Folder, find_folder, home, read_config
from proml.core.finality import Finality
from proml.errors import ConfigError, IdentityError, MissingExtra

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from sqlalchemy import Engine

    from proml.core.message_file import Message
    from proml.core.workspace_file import WorkspaceFile
    from proml.identity import Identities, Identity
    from proml.index.follow import Progress
    from proml.index.queries import ReadModel
    from proml.index.views import FollowReport
    from proml.ports import Clock, Entry, Evidence, IssuedMessages, Ledger, LocalStore, Node, Outbox, Signer, Store
    from proml.submit.book import Progress as Sending
    from proml.submit.chain_resolver import ChainResolver
    from proml.submit.deliver import Channel
    from proml.submit.fees import FeePolicy
    from proml.submit.intents import Desk
    from proml.submit.report import DeliveryReport, Wait
    from proml.submit.transactions import HandedIn
    from proml.verify.verifying import Witnesses

_EMBEDDED = "embedded:"


class Participant:
    """One participant at one working folder; its parts open when they are first used.

    Args:
        folder: The working folder.
        config: Its configuration.
        identity: Name of the identity that signs, instead of PROML_IDENTITY and the configured one.
    """

    def __init__(self, folder: Folder, config: Config, *, identity: str | None = None) -> None:
        self.folder = folder
        self.config = config
        self._identity_name = identity or os.environ.get("PROML_IDENTITY") or config.identity
        self._close: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @cached_property
    def workspace(self) -> WorkspaceFile:
        """The workspace file that this folder is pinned to; its contract is of a build that is understood here."""
        from proml.workspace import check_known_code  # noqa: PLC0415 - opened when used

        check_known_code(self.pinned)
        return self.pinned

    @cached_property
    def pinned(self) -> WorkspaceFile:
        """The workspace file that this folder is pinned to, whatever contract it names."""
        from proml.workspace import read_workspace_file  # noqa: PLC0415 - as above

        return read_workspace_file(self.folder.workspace_file(self.config))

    @cached_property
    def clock(self) -> Clock:
        """The machine's clock."""
        from proml.adapters.clock import SystemClock  # noqa: PLC0415 - as above

        return SystemClock()

    @cached_property
    def ledger(self) -> Ledger:
        """The ledger: PROML_LEDGER, the configured one, or those of the workspace file in their order."""
        ledger = open_ledger(
            self.ledger_urls,
            base=self.folder.dot,
            finality=self.workspace.finality,
            witness=os.environ.get("PROML_WITNESS") or self.config.witness,
        )
        self._close.append(ledger.close)
        return ledger

    @property
    def ledger_urls(self) -> list[str]:
        """Where the ledger is, in the order of preference."""
        chosen = os.environ.get("PROML_LEDGER") or self.config.ledger
        return [chosen] if chosen else list(self.workspace.ledgers)

    def another_ledger(self, urls: str | list[str]) -> Ledger:
        """Opens an end point of the workspace's chain, whether it is the one in use or another; closed with this."""
        ledger = open_ledger(urls, base=self.folder.dot, finality=self.workspace.finality)
        self._close.append(ledger.close)
        return ledger

    @cached_property
    def evidence(self) -> Evidence | None:
        """What proves the ledger's answers; None for an embedded one, which is a file of one's own."""
        if any(url.startswith(_EMBEDDED) for url in self.ledger_urls):
            return None
        need("trie")
        from proml.adapters.jsonrpc.evidence import JsonRpcEvidence  # noqa: PLC0415 - opened when used

        evidence = JsonRpcEvidence(self.ledger_urls)
        self._close.append(evidence.close)
        return evidence

    @cached_property
    def identities(self) -> Identities:
        """The identities in PROML_HOME."""
        return open_identities()

    @cached_property
    def identity(self) -> Identity:
        """The identity that signs here, still locked.

        Raises:
            IdentityError: None was chosen and there is not exactly one, or the chosen one does not exist.
        """
        if self._identity_name:
            return self.identities.get(self._identity_name)
        known = [identity for identity in self.identities.list() if not identity.member]
        if len(known) == 1:
            return known[0]
        raise IdentityError(
            f"no identity is chosen for {self.folder.root}, and {home()} has {len(known)}.",
            hint='Set PROML_IDENTITY, or identity = "NAME" in .proml/config.toml; `proml id list` shows them.',
        )

    @cached_property
    def signer(self) -> Signer:
        """The key that signs, unlocked when this is first asked for."""
        return self.identities.unlock(self.identity.name)

    @cached_property
    def outbox(self) -> Outbox:
        """What waits to be sent, and what became of it."""
        from proml.adapters.outbox_sqlite import SqliteOutbox  # noqa: PLC0415 - as above

        outbox = SqliteOutbox(self.folder.outbox_file)
        self._close.append(outbox.close)
        return outbox

    @cached_property
    def node(self) -> Node | None:
        """The node that sends for this folder: PROML_NODE or the configured one; None to send from here."""
        url = os.environ.get("PROML_NODE") or self.config.node
        if not url:
            return None
        from proml.adapters.node_http import HttpNode  # noqa: PLC0415 - as above

        node = HttpNode(url, read_token(self.folder))
        self._close.append(node.close)
        return node

    @cached_property
    def issued(self) -> IssuedMessages:
        """The messages that were signed here for others to send."""
        from proml.adapters.issued_file import IssuedFile  # noqa: PLC0415 - as above

        return IssuedFile(self.folder.messages_file)

    @cached_property
    def store(self) -> LocalStore:
        """The local store; what it does not have is read from the workspace's stores."""
        from proml.adapters.store_folder import FolderStore  # noqa: PLC0415 - as above
        from proml.adapters.store_many import LayeredStore  # noqa: PLC0415 - as above

        return LayeredStore(FolderStore(self.folder.store_folder), self.shared_stores)

    @cached_property
    def shared_stores(self) -> tuple[Store, ...]:
        """The stores where members of the workspace publish records."""
        from proml.adapters.store_fsspec import open_store  # noqa: PLC0415 - as above

        return tuple(open_store(url) for url in self.workspace.stores)

    @cached_property
    def index(self) -> Engine:
        """The database of the read model."""
        need("sqlalchemy")
        from proml.index.schema import open_index  # noqa: PLC0415 - as above

        engine = open_index(str(self.folder.index_file))
        self._close.append(engine.dispose)
        return engine

    @cached_property
    def model(self) -> ReadModel:
        """Answers from the read model, as far as it has followed."""
        from proml.index.queries import ReadModel  # noqa: PLC0415 - as above

        return ReadModel(self.index, self.workspace)

    @property
    def desk(self) -> Desk:
        """Where requests of somebody who waits for what becomes of them are written down, before they are sent."""
        from proml.submit.intents import Attended, Desk  # noqa: PLC0415 - as above

        return Desk(self.store, Attended(self.outbox, self.node), self.clock)

    @cached_property
    def resolver(self) -> ChainResolver:
        """Answers about names, heads and rules from the ledger itself."""
        from proml.submit.chain_resolver import ChainResolver  # noqa: PLC0415 - as above

        return ChainResolver(self.ledger, self.workspace, self.store)

    @property
    def witnesses(self) -> Witnesses:
        """What a verification asks."""
        from proml.verify.verifying import Witnesses  # noqa: PLC0415 - as above

        return Witnesses(model=self.model, ledger=self.ledger, store=self.store)

    @cached_property
    def _handed(self) -> HandedIn:
        from proml.submit.transactions import HandedIn  # noqa: PLC0415 - opened when used

        return HandedIn()

    @property
    def channel(self) -> Channel:
        """What a delivery speaks to; unlocks the key."""
        from proml.submit.deliver import Channel  # noqa: PLC0415 - as above
        from proml.submit.patience import Patience  # noqa: PLC0415 - as above

        return Channel(
            ledger=self.ledger,
            outbox=self.outbox,
            signer=self.signer,
            workspace=self.workspace,
            resolver=self.resolver,
            store=self.store,
            stores=self.shared_stores,
            clock=self.clock,
            handed=self._handed,
            patience=Patience(stuck_s=self.config.fees.stuck_s),
            fees=self.fees,
        )

    @property
    def fees(self) -> FeePolicy:
        """What gas may cost: PROML_MAX_GWEI or the setting; raises ConfigError."""
        from proml.submit.fees import FeePolicy  # noqa: PLC0415 - as above

        given = os.environ.get("PROML_MAX_GWEI", "")
        try:
            gwei = float(given) if given else self.config.fees.max_gwei
            return FeePolicy(None if gwei is None else round(gwei * 10**9))
        except (ValueError, OverflowError) as error:
            raise ConfigError(f"expected a number in PROML_MAX_GWEI, found {given[:40]!a}.") from error

    def deliver(
        self, numbers: Collection[int] | None = None, *, wait: Wait = "included", progress: Sending | None = None
    ) -> DeliveryReport:
        """Sends what waits in the outbox, or gives all of it to the node that sends for this folder.

        Args:
            numbers: Entries to send, with what they follow; None is all. A node is given all that waits.
            wait: Until they are ``included`` in a block, until that is ``final``, or None: not at all.
            progress: Called with the number of entries done, that of all to be sent, and the entry that just got done.

        Raises:
            UnreachableError: The ledger does not answer; nothing is lost.
            IdentityError: The key cannot be unlocked.
        """
        if self.node is not None:
            from proml.adapters.store_folder import FolderStore  # noqa: PLC0415 - as above
            from proml.submit.handing_over import hand_over  # noqa: PLC0415 - as above

            local = FolderStore(self.folder.store_folder)
            return hand_over(self.outbox, local, self.node, self.clock, only=numbers, wait=wait, progress=progress)
        from proml.submit.deliver import deliver  # noqa: PLC0415 - as above

        return deliver(self.channel, only=numbers, wait=wait, progress=progress)

    def rebase(self, number: int) -> Entry:
        """Lets an entry that failed go again, as :func:`proml.submit.deciding.rebase`, which see."""
        from proml.submit import deciding  # noqa: PLC0415 - as above

        return deciding.rebase(self.outbox, self._account, number, self.node)

    def drop(self, number: int) -> Entry:
        """Gives an entry up, as :func:`proml.submit.deciding.drop`, which see."""
        from proml.submit import deciding  # noqa: PLC0415 - as above

        return deciding.drop(self.outbox, self._account, number, self.node)

    @property
    def _account(self) -> str:
        return self.identity.address if self.node is None else self.node.where  # which decides about what it has

    def check_message(self, message: Message) -> None:
        """Checks a message that another one signed, as :func:`proml.submit.relaying.check`, which see."""
        from proml.adapters.local_signer import recover_address  # noqa: PLC0415 - as above
        from proml.submit.relaying import check  # noqa: PLC0415 - as above

        check(self.channel, message, recover_address)

    def check_pins(self) -> None:
        """Raises VerificationError unless the ledger and the contract's code are those that the workspace file pins."""
        from proml.index.follow import check_pins  # noqa: PLC0415 - as above

        check_pins(self.ledger, self.workspace)

    def follow(self, progress: Progress | None = None, *, anew: bool = False) -> FollowReport:
        """Brings the read model up to the ledger's newest block.

        Args:
            progress: Called with blocks done and blocks to do every few seconds: see :mod:`proml.index.follow`.
            anew: Throw the read model away first.
        """
        from proml.index import follow  # noqa: PLC0415 - as above

        step = follow.rebuild if anew else follow.follow
        return step(self.ledger, self.workspace, self.store, self.index, progress)

    def close(self) -> None:
        """Closes what was opened; safe to call twice."""
        while self._close:
            self._close.pop()()


def open_participant(folder: str | os.PathLike[str] | None = None, *, identity: str | None = None) -> Participant:
    """Opens a working folder.

    Args:
        folder: Where to look for it, upwards; by default PROML_FOLDER, else the current folder.
        identity: Name of the identity that signs, instead of PROML_IDENTITY and the configured one.

    Raises:
        ConfigError: There is no working folder, or its configuration is broken.
    """
    found = find_folder(folder)
    return Participant(found, read_config(found), identity=identity)


def read_token(folder: Folder) -> str:
    """Returns a node's token: from PROML_NODE_TOKEN_FILE, else from the working folder; raises ConfigError."""
    path = Path(os.environ.get("PROML_NODE_TOKEN_FILE") or folder.node_token_file)
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"expected the node's token in {path}, found none: {error}.",
            hint="Copy it from .proml/node-token of the node's working folder, or name it in PROML_NODE_TOKEN_FILE.",
        ) from error


def open_ledger(
    urls: str | list[str],
    *,
    base: Path | None = None,
    create: bool = False,
    finality: Finality | None = None,
    witness: str = "",
) -> Ledger:
    """Opens a ledger.

    Args:
        urls: ``embedded:PATH``, ``http(s)://…``, ``ws(s)://…`` or the path of an IPC socket; of several end points of
            one chain, the first that answers is used.
        base: Folder that a relative path starts from; the current one by default.
        create: Make an embedded chain that does not exist.
        finality: When its blocks are final; None is what the ledger itself says. An embedded one decides itself.
        witness: URL of a second end point that has to say the same; empty for none. An embedded one has none.

    Raises:
        ConfigError: No URL, or none of a kind that is known.
        UnreachableError: No end point answers.
    """
    given = [urls] if isinstance(urls, str) else urls
    if not given:
        raise ConfigError("the workspace file names no ledger.", hint="Set PROML_LEDGER to the URL of its ledger.")
    embedded = [url for url in given if url.startswith(_EMBEDDED)]
    if embedded:
        need("eth")
        from proml.adapters.embedded import EmbeddedLedger  # noqa: PLC0415 - the EVM takes long to import

        path = (base or Path.cwd()) / embedded[0].removeprefix(_EMBEDDED)
        return EmbeddedLedger.create(path) if create and not path.exists() else EmbeddedLedger.open(path)
    unknown = [url for url in given if not url.startswith(("http://", "https://", "ws://", "wss://", "ipc:/", "/"))]
    if unknown:
        raise ConfigError(
            f"{unknown[0]!r} is not the URL of a ledger; expected embedded:PATH, http(s)://…, ws(s)://… or ipc:/PATH.",
            hint="Correct PROML_LEDGER, .proml/config.toml or the workspace file.",
        )
    from proml.adapters.jsonrpc import JsonRpcLedger, WitnessedLedger  # noqa: PLC0415 - takes long to import
    from proml.adapters.jsonrpc.transport import without_secrets  # noqa: PLC0415 - as above

    rule = finality or Finality("tag")
    if not witness:
        return JsonRpcLedger(given, finality=rule)
    others = [url for url in given if url.rstrip("/") != witness.rstrip("/")]
    if not others:
        raise ConfigError(
            f"the witness {without_secrets(witness)} is the only end point of the ledger: it would vouch for itself.",
            hint="Name another participant's in PROML_WITNESS, or the ledger's own in PROML_LEDGER.",
        )
    return WitnessedLedger(others, witness, finality=rule)


def open_identities() -> Identities:
    """Opens the identities in PROML_HOME; a person is asked for passphrases only when a terminal is there."""
    need("coincurve")
    from proml.identity import Identities  # noqa: PLC0415 - takes long to import

    return Identities(home(), prompt=_prompt if sys.stdin.isatty() and sys.stderr.isatty() else None)


def _prompt(question: str) -> str:
    import getpass  # noqa: PLC0415 - only when a person is asked

    return getpass.getpass(question if question.endswith(" ") else f"{question} ")


def need(module: str, extra: str = "ledger") -> None:
    """Raises MissingExtra unless a package of an extra is installed."""
    import importlib.util  # noqa: PLC0415 - only when something is opened

    if importlib.util.find_spec(module) is None:
        raise MissingExtra(
            f"this needs the Python package {module!r}, which is not installed.",
            hint=f"Install it with `pip install 'proml[{extra}]'`.",
        )
