"""What an insider would write: no ProML command in the way, the operation goes straight to the contract.

    python insider.py skip ARTEFACT RULE    # perform a transition that is not next
    python insider.py replay MESSAGE        # hand in a signed message that was used before

Ends with 3 (or 6) and the contract's own reason when it refuses, with 0 when the attack succeeds.
"""

import sys
from pathlib import Path

from proml.core.calls import encode_call
from proml.core.message_file import parse_message
from proml.core.operation import ZERO, Operation, Relayed, Transition
from proml.core.refusal import explain
from proml.ports import Reverted
from proml.wiring import Participant, open_participant


def skipping(insider: Participant, name: str, rule: str) -> Operation:
    """A transition by its number in the lifecycle, on the artefact's true head, with a made-up record."""
    artefact = insider.resolver.artefact_id(name)
    standing = insider.resolver.standing(artefact)
    if standing is None:
        sys.exit(f"no artefact {name}")
    held = insider.resolver.current_inputs(artefact)
    return Transition(artefact, standing.head, int(rule), ZERO, b"\x01" * 32, held=held)


def replaying(_: Participant, path: str) -> Relayed:
    """A message that somebody signed, as it is."""
    return parse_message(Path(path).read_bytes(), path).relayed


with open_participant() as insider:
    operation = {"skip": skipping, "replay": replaying}[sys.argv[1]](insider, *sys.argv[2:])
    try:
        insider.ledger.call(insider.workspace.contract, encode_call(operation), sender=insider.signer.address)
    except Reverted as reverted:
        refusal = explain(reverted.data, insider.resolver.names, doing="the insider's operation")
        print(refusal.message)
        sys.exit(refusal.exit_code)
print("the contract accepts it")
