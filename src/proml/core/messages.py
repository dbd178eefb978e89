"""EIP-712 messages: what a member signs so that anybody may send its operation, and what a session key consents to."""

from __future__ import annotations

from proml.core.operation import Operation, Session


def domain_separator(chain_id: int, contract: str) -> bytes:
    """Returns the EIP-712 domain separator of a workspace: name "ProML Workspace", version "1"."""
    raise NotImplementedError


def typed_hash(operation: Operation, *, nonce: int, deadline: int, domain: bytes) -> bytes:
    """Returns the hash that a member signs (``Signer.sign_hash``) to have the operation relayed.

    Args:
        operation: What it wants done.
        nonce: The signer's next nonce (``nonceOf``).
        deadline: Unix time, in seconds, after which the message is void.
        domain: See :func:`domain_separator`.
    """
    raise NotImplementedError


def session_consent_hash(session: Session, *, member: str, domain: bytes) -> bytes:
    """Returns the hash that a session key signs to consent to act for ``member``."""
    raise NotImplementedError
