"""From the outbox to the ledger: exactly once as seen on chain.

- :mod:`proml.submit.intents`: what a participant asks for becomes a record in the local store and an intent in the
  outbox.
- :mod:`proml.submit.chain_resolver`: looks up names, rules, heads and inputs on the ledger itself.
- :mod:`proml.submit.plan`: which entries can go now, and which wait for what.
- :mod:`proml.submit.bind`: an intent bound to heads, rules and inputs is an operation.
- :mod:`proml.submit.deliver`: publishes records, signs, writes ahead, sends, waits, and starts again where it was.
- :mod:`proml.submit.signing`: signs an operation for somebody else to send; :mod:`proml.submit.relaying` checks such a
  message and puts it into the outbox.
- :mod:`proml.submit.turn`: one process at a time takes what waits; others have their turn while it waits for a block.
- :mod:`proml.submit.handing_over`: gives what waits to another host's node; :mod:`proml.submit.given` asks that node.
- :mod:`proml.submit.deciding`: gives failed entries up, or lets them go again.

The JSON fields of each kind of intent are those of the dataclasses in :mod:`proml.core.intent`.
"""
