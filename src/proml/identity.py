"""Identities: named keys under ``PROML_HOME``, their passphrases, and what a person hands to others about them.

A passphrase is looked for in this order: the argument; the file that ``PROML_PASSPHRASE_FILE`` names; the file
``passphrase`` in ``PROML_HOME``; the person at the terminal. When a new key finds none and nobody can be asked (or the
person just presses Enter), 256 random bits are generated and kept in that file, readable by its owner only: the key is
then as safe as the account on this machine, and jobs run unattended.
"""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from proml.adapters.keystore import KeystoreSigner, read_keystore, write_keystore
from proml.adapters.local_signer import LocalSigner, recover_address
from proml.adapters.new_file import write_new_file
from proml.core.digest import keccak256
from proml.core.messages import domain_separator, session_consent_hash
from proml.core.operation import Grant, Session
from proml.core.words import checksum_address, parse_address
from proml.errors import IdentityError, InvalidRecord, LocalStorageError, UsageError, VerificationError

Prompt = Callable[[str], str]

EXPORT_KIND = "proml/identity/v1"
PASSPHRASE_FILE = "PROML_PASSPHRASE_FILE"  # noqa: S105  # a variable's name

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_GENERATED = re.compile(rb"[0-9a-f]{64}")
_MAX_PASSPHRASE_BYTES = 4096
_PASSPHRASE_HINT = f"Set {PASSPHRASE_FILE} to a file that holds it, or run the command in a terminal."


@dataclass(frozen=True, slots=True)
class Identity:
    """A key on this machine, locked.

    Attributes:
        name: Its name on this machine.
        address: Its account, as the file says; checked when it is unlocked.
        path: The keystore file.
        member: For a session key, the member it is to act for; else empty.
        expires: For a session key, the Unix time, in seconds, from which it is void; else 0.
        broken: Why the file cannot be used; empty when it can.
    """

    name: str
    address: str
    path: Path
    member: str = ""
    expires: int = 0
    broken: str = ""


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


@dataclass(frozen=True, slots=True)
class _Secret:
    """A passphrase and whether it is 256 generated bits, for which light key derivation is enough."""

    passphrase: bytes
    generated: bool = False


class Identities:
    """The identities of one ``PROML_HOME``.

    Args:
        home: The folder; made when first written to.
        environment: Where ``PROML_PASSPHRASE_FILE`` is looked up; ``os.environ`` if None.
        prompt: Asks a person for a passphrase, given the question; None when no terminal is there.
    """

    def __init__(self, home: Path, environment: Mapping[str, str] | None = None, prompt: Prompt | None = None) -> None:
        self._home = home
        self._environment = os.environ if environment is None else environment
        self._prompt = prompt

    def new(self, name: str, passphrase: str | None = None) -> Identity:
        """Makes a new key.

        Args:
            name: Letters, digits, ``.``, ``_`` and ``-``, at most 64.
            passphrase: What unlocks it; None finds or makes one as the module says.

        Raises:
            IdentityError: The name is malformed or taken, or the passphrase is empty or typed in two ways.
            LocalStorageError: The file cannot be written.
        """
        return self._write(name, LocalSigner.generate(), passphrase, {})

    def list(self) -> list[Identity]:
        """Returns all identities by name; one whose file is broken says so and hides no other."""
        folder = self._home / "identities"
        try:
            names = sorted(path.stem for path in folder.glob("*.json") if _NAME.fullmatch(path.stem))
        except OSError as error:
            raise LocalStorageError(f"the folder {folder} cannot be read: {error.strerror}") from error
        return [self._look(name) for name in names]

    def get(self, name: str) -> Identity:
        """Returns one identity.

        Raises:
            IdentityError: There is none of this name, or its file is broken.
        """
        path = self._path(name)
        if not path.exists():
            known = ", ".join(identity.name for identity in self.list()) or "none"
            raise IdentityError(
                f"there is no identity {name!r} in {self._home}; there are: {known}",
                hint=f"Make it with `proml id new {name}`, or choose another with PROML_IDENTITY.",
            )
        identity = self._look(name)
        if identity.broken:
            raise IdentityError(identity.broken, hint="Use a backup of the file.")
        return identity

    def unlock(self, name: str, passphrase: str | None = None) -> LocalSigner:
        """Returns the signer of an identity.

        Args:
            name: The identity.
            passphrase: What unlocks it; None finds it as the module says.

        Raises:
            IdentityError: There is no such identity, its file is broken, or no passphrase was found that fits.
        """
        path = self.get(name).path
        given = self._given(passphrase)
        if given is not None:
            return KeystoreSigner.open(path, given)
        kept = self._kept()
        if kept is not None:
            try:
                return KeystoreSigner.open(path, kept)
            except IdentityError:
                if self._prompt is None:
                    raise
        if self._prompt is None:
            raise IdentityError(f"the identity {name!r} is locked and no passphrase was given", hint=_PASSPHRASE_HINT)
        return KeystoreSigner.open(path, self._prompt(f"Passphrase of {name}:").encode())

    def export(self, name: str, passphrase: str | None = None) -> dict[str, str]:
        """Returns what others need to make this identity a member: name, address, and a proof that it holds the key."""
        signer = self.unlock(name, passphrase)
        proof = signer.sign_hash(_possession_hash(name, signer.address))
        return {"kind": EXPORT_KIND, "name": name, "address": signer.address, "proof": f"0x{proof.hex()}"}

    def new_session(self, name: str, request: SessionRequest, passphrase: str | None = None) -> Grant:
        """Makes a session key that consents to act for a member.

        Returns:
            The grant, which the member itself sends; the key then works under ``PROML_IDENTITY=name``.

        Raises:
            IdentityError: As for :meth:`new`.
        """
        signer = LocalSigner.generate()
        session = Session(signer.address, request.roles, request.artefact, request.expires)
        domain = domain_separator(request.chain_id, request.contract)
        consent = signer.sign_hash(session_consent_hash(session, member=request.member, domain=domain))
        shown = {
            "member": request.member,
            "roles": request.roles,
            "artefact": f"0x{request.artefact.hex()}",
            "expires": request.expires,
            "chain_id": request.chain_id,
            "contract": request.contract,
        }
        self._write(name, signer, passphrase, {"session": shown})
        return Grant(session, consent)

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise IdentityError(
                f"expected letters, digits, '.', '_' and '-' (at most 64) as the name of an identity, found {name!r}"
            )
        return self._home / "identities" / f"{name}.json"

    def _look(self, name: str) -> Identity:
        path = self._path(name)
        try:
            document = read_keystore(path)
            address = checksum_address(bytes.fromhex(str(document.get("address", "")).removeprefix("0x")))
            session = document.get("session", {})
            member, expires = str(session.get("member", "")), int(session.get("expires", 0))
        except (UsageError, ValueError, TypeError, AttributeError) as error:
            reason = error.message if isinstance(error, UsageError) else "an entry of it is malformed"
            return Identity(name, "", path, broken=f"the identity {name!r} cannot be used: {reason}")
        return Identity(name, address, path, member, expires)

    def _write(self, name: str, signer: LocalSigner, passphrase: str | None, beside: Mapping[str, object]) -> Identity:
        path = self._path(name)
        taken = {entry.stem.lower() for entry in path.parent.glob("*.json")}
        if name.lower() in taken:
            raise IdentityError(
                f"there is an identity {name!r} already (capital letters make no difference)",
                hint="Choose another name; keys are never overwritten.",
            )
        secret = self._secret_for_new(name, passphrase)
        beside = {"name": name, **beside}
        write_keystore(path, signer, secret.passphrase, light=secret.generated, beside=beside)
        return self._look(name)

    def _secret_for_new(self, name: str, passphrase: str | None) -> _Secret:
        given = self._given(passphrase)
        if given is not None:
            return _Secret(given)
        kept = self._kept()
        if kept is not None:
            # A person may have written this file too.
            return _Secret(kept, generated=_GENERATED.fullmatch(kept) is not None)
        typed = self._ask_twice(name) if self._prompt else b""
        return _Secret(typed) if typed else _Secret(self._generate(), generated=True)

    def _ask_twice(self, name: str) -> bytes:
        assert self._prompt is not None
        typed = self._prompt(f"New passphrase of {name} (Enter: have one generated and kept in {self._home}):")
        if typed and self._prompt("The same passphrase again:") != typed:
            raise IdentityError("the two passphrases differ; no key was made", hint="Run the command again.")
        return typed.encode()

    def _given(self, passphrase: str | None) -> bytes | None:
        """Returns the passphrase of the argument or the environment, if there is one."""
        if passphrase is not None:
            return passphrase.encode()
        path = self._environment.get(PASSPHRASE_FILE)
        if not path or Path(path) == self._kept_path:
            return None
        found = _read_passphrase(Path(path))
        if found is None:
            raise IdentityError(
                f"{PASSPHRASE_FILE} names {path}, and there is no such file", hint="Correct or unset the variable."
            )
        return found

    @property
    def _kept_path(self) -> Path:
        return self._home / "passphrase"

    def _kept(self) -> bytes | None:
        return _read_passphrase(self._kept_path)

    def _generate(self) -> bytes:
        generated = secrets.token_hex(32).encode()
        try:
            write_new_file(self._kept_path, generated + b"\n")
        except IdentityError:
            kept = self._kept()  # another process was faster
            if kept is None:
                raise
            return kept
        return generated


def check_export(document: object) -> dict[str, str]:
    """Returns the name and address of an exported identity after checking its proof.

    Raises:
        InvalidRecord: It is not an exported identity.
        VerificationError: The proof was not made by that address, for that name.
    """
    if not isinstance(document, dict) or document.get("kind") != EXPORT_KIND:
        raise InvalidRecord(f"expected an exported identity of kind {EXPORT_KIND!r}, found something else")
    entries = cast("dict[str, Any]", document)
    name, address, proof = (entries.get(entry) for entry in ("name", "address", "proof"))
    if not (isinstance(name, str) and _NAME.fullmatch(name) and isinstance(address, str) and isinstance(proof, str)):
        raise InvalidRecord("expected name, address and proof as text in the exported identity, found something else")
    try:
        address, signature = parse_address(address), bytes.fromhex(proof.removeprefix("0x"))
    except (UsageError, ValueError) as error:
        raise InvalidRecord(f"the exported identity {name!r} is malformed: {error}") from error
    signer = recover_address(_possession_hash(name, address), signature)
    if signer != address:
        raise VerificationError(
            f"expected a proof by {address}, found one by another key: the exported identity {name!r} was altered",
            hint="Ask its owner to run `proml id export` again.",
        )
    return {"name": name, "address": address}


def _possession_hash(name: str, address: str) -> bytes:
    """Returns the hash that a proof of possession signs, as wallets sign text too (EIP-191, version 0x45)."""
    text = f"I hold the key of this ProML identity.\nname: {name}\naddress: {address}".encode()
    return keccak256(b"\x19Ethereum Signed Message:\n" + str(len(text)).encode() + text)


def _read_passphrase(path: Path) -> bytes | None:
    """Returns a file's first line, or None if there is no file."""
    try:
        with path.open("rb") as file:
            line = file.readline(_MAX_PASSPHRASE_BYTES + 1).rstrip(b"\r\n")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise LocalStorageError(f"the passphrase file {path} cannot be read: {error.strerror}") from error
    if not 0 < len(line) <= _MAX_PASSPHRASE_BYTES:
        raise IdentityError(f"expected a passphrase in the first line of {path}, found an empty or endless one")
    return line
