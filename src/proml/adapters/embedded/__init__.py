"""The embedded ledger: a proper Ethereum chain in one SQLite file and the user's own process.

    ledger = EmbeddedLedger.create(path)      # or .open(path)
    digest = ledger.send(raw_transaction)     # mined at once, one transaction per block
    receipt = ledger.receipt(digest)

Three parts: :mod:`.chain_file` is the SQLite file (schema, locks, errors in words), :mod:`.machine` executes under
the London rules with py-evm (imported only when something is executed, since that takes half a second) and
:mod:`.ledger` serves :class:`proml.ports.Ledger` from both. Consensus is left out: whoever may write the file may
add a block, which is what a ledger of one person on one machine needs. docs/decisions/0004-embedded-evm.md says why.
"""

from __future__ import annotations

from proml.adapters.embedded.ledger import EmbeddedLedger

__all__ = ["EmbeddedLedger"]
