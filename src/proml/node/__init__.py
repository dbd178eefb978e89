"""A participant's node: one daemon per participant that takes records in, sends them, follows the chain, and answers.

    worker.py    the loop: close dead runs, send, follow; goes on whatever happens
    service.py   what can be asked of a node, without HTTP: take intents, hand out records, tell what became of them
    api.py       the same over HTTP, for those who have the token

All that it was given is in the working folder's outbox and store before it answers, so it may be killed at any instant
and started again; `proml sync` in the same folder, at the same time, does no harm.
"""
