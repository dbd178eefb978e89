"""Hands the founding transactions in, each once the one before is accepted, and waits until the chain is there."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from proml.consortium.avalanche.encoding import cb58, checked
from proml.core import shape
from proml.core.canonical import parse_json
from proml.errors import ConfigError, ConflictError, InvalidRecord, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from proml.consortium.avalanche.founding import Founding
    from proml.consortium.engines import Ask

FILE = "founding.json"
PLATFORM, INFO = "/ext/bc/P", "/ext/info"
_SIZE_LIMIT = 1 << 20
_PATIENCE_S, _POLL_S = 120.0, 0.3
_UNKNOWN = ("Unknown", "Dropped")


@dataclass(frozen=True, slots=True)
class Step:
    """A founding transaction as the file has it: what it does, its id in CB58, itself in checked hex."""

    what: str
    id: str
    tx: str


@dataclass(frozen=True, slots=True)
class Steps:
    """What the file says: the ids of subnet and chain in CB58, and the transactions in order."""

    subnet: str
    chain: str
    steps: tuple[Step, ...]


def written(founding: Founding) -> str:
    """Returns the file's text."""
    steps = [
        {"what": one.what, "id": cb58(one.id), "tx": f"0x{checked(one.data).hex()}"} for one in founding.transactions
    ]
    document = {"subnet": cb58(founding.subnet), "chain": cb58(founding.chain), "transactions": steps}
    return json.dumps(document, indent=2) + "\n"


def read(folder: Path) -> Steps:
    """Reads the file of a participant's folder; raises ConfigError if it is missing or broken."""
    path = folder / FILE
    try:
        document: Any = parse_json(path.read_bytes()[:_SIZE_LIMIT], str(path))
        _SHAPE(document, "$")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be read: {error.strerror}.", hint="Write it anew: `proml consortium new`."
        ) from error
    except InvalidRecord as error:
        raise ConfigError(f"In {path}: {error.message}", hint="Write it anew: `proml consortium new`.") from error
    return Steps(document["subnet"], document["chain"], tuple(Step(**one) for one in document["transactions"]))


def issue(ask: Ask) -> list[str]:
    """Hands in what is not there yet; returns what those transactions do.

    Raises:
        ConflictError: A transaction was refused: the founding key was used for something else.
        UnreachableError: The client, or too few of the others, answer.
    """
    done = []
    for step in read(ask.folder).steps:
        if _status(ask, step) != "Committed":
            _hand_in(ask, step)
            done.append(step.what)
    _until(lambda: bool(ask("eth_blockNumber")), "the chain was founded, but this client does not offer it")
    return done


def _hand_in(ask: Ask, step: Step) -> None:
    refusal = ""
    try:
        ask("platform.issueTx", {"tx": step.tx, "encoding": "hex"}, at=PLATFORM)
    except UnreachableError as error:
        refusal = error.message  # it may be known already, from another who founds at the same time
    if refusal and _status(ask, step) in _UNKNOWN:
        raise ConflictError(
            f"the network refuses the transaction that is to {step.what}: {refusal}",
            hint="If somebody used the founding key for something else, agree on a plan with another genesis_time.",
        )

    def committed() -> bool:
        status = _status(ask, step)
        if status == "Dropped":
            raise ConflictError(
                f"the network dropped the transaction that is to {step.what}.",
                hint="Try again; if that does not help, agree on a plan with another genesis_time.",
            )
        return status == "Committed"

    _until(committed, f"the network does not decide on the transaction that is to {step.what}")


def _status(ask: Ask, step: Step) -> str:
    """Returns what became of a transaction; waits while the client is not connected to enough of the others."""
    found: list[str] = []

    def answered() -> bool:
        found.append(str(ask("platform.getTxStatus", {"txID": step.id}, at=PLATFORM)["status"]))
        return True

    _until(answered, "this client's platform chain does not answer")
    return found[-1]


def _until(holds: Callable[[], bool], otherwise: str) -> None:
    ends, last = time.monotonic() + _PATIENCE_S, ""
    while time.monotonic() < ends:
        try:
            if holds():
                return
        except UnreachableError as error:
            last = f": {error.message}"
        time.sleep(_POLL_S)
    raise UnreachableError(
        f"{otherwise}, after {_PATIENCE_S:.0f} s{last}.",
        hint="More than two thirds of the founders' clients must run and reach each other. Then try again.",
    )


_CB58 = shape.pattern("[1-9A-HJ-NP-Za-km-z]{40,60}", "an identifier in CB58")
_SHAPE = shape.structure(
    {
        "subnet": _CB58,
        "chain": _CB58,
        "transactions": shape.array(
            shape.structure({"what": shape.label, "id": _CB58, "tx": shape.pattern("0x[0-9a-f]+", "hex")}), 1_000
        ),
    }
)
