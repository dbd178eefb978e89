"""Identities: named keys under ``PROML_HOME``, their passphrases, and what a person hands to others about them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from proml.core.operation import Grant
from proml.ports import Signer

Prompt = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Identity:
    """A key on this machine, locked.

    Attributes:
        name: Its name on this machine.
        address: Its account.
        path: The keystore file.
        member: For a session key, the member it is to act for; else empty.
    """

    name: str
    address: str
    path: Path
    member: str = ""


class Identities:
    """The identities of one ``PROML_HOME``.

    Args:
        home: The folder; made when first written to.
        environment: Where ``PROML_PASSPHRASE_FILE`` is looked up (``os.environ``).
        prompt: Asks a person for a passphrase, given the question; None when no terminal is there.
    """

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None, prompt: Prompt | None = None) -> None:
        raise NotImplementedError

    def new(self, name: str, passphrase: str | None = None) -> Identity:
        """Makes a new key; without a passphrase the rules of :meth:`unlock` find or generate one."""
        raise NotImplementedError

    def list(self) -> list[Identity]:
        """Returns all identities by name."""
        raise NotImplementedError

    def get(self, name: str) -> Identity:
        """Returns one; raises IdentityError if there is none."""
        raise NotImplementedError

    def unlock(self, name: str, passphrase: str | None = None) -> Signer:
        """Returns the signer: passphrase given, else PROML_PASSPHRASE_FILE, else the generated one, else the prompt."""
        raise NotImplementedError

    def export(self, name: str, passphrase: str | None = None) -> dict[str, str]:
        """Returns what others need to make this identity a member: name, address, and proof that it holds the key."""
        raise NotImplementedError

    def new_session(self, name: str, request: SessionRequest, passphrase: str | None = None) -> Grant:
        """Makes a session key and its consent; the member's signer then sends the grant."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a session key is to be allowed, and where.

    Attributes:
        member: Address of the member it acts for.
        roles: Role bits, a subset of the member's.
        artefact: The only artefact it may touch; zero is all.
        expires: Unix time, in seconds, from which it is void.
        chain_id: Chain of the workspace.
        contract: Address of the workspace.
    """

    member: str
    roles: int
    artefact: bytes
    expires: int
    chain_id: int
    contract: str


def check_export(document: object) -> dict[str, str]:
    """Returns the name and address of an exported identity after checking its proof.

    Raises:
        InvalidRecord: It is not an exported identity.
        VerificationError: The proof is not of that address.
    """
    raise NotImplementedError
