"""Capture: what happens in the user's process, from the first fact to the outbox.

A run writes facts into a journal (:mod:`~proml.capture.journal`); each is durable when the call returns. Closing a run
(:mod:`~proml.capture.closing`) reads nothing but the journal, so that a run whose process was killed is closed by the
same code (:mod:`~proml.capture.recover`). Nothing here raises into the user's code or talks to a ledger.
"""
