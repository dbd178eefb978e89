"""The read model: follows the ledger into SQL, and answers questions from it.

Nothing here is the truth: the chain is. The index is a cache that can be thrown away
(:func:`proml.index.follow.rebuild`), and :mod:`proml.verify` checks what it says against the chain. Submodules are
imported where they are needed, since the SQL library takes long to load: :mod:`~proml.index.views` (light),
:mod:`~proml.index.schema`, :mod:`~proml.index.follow`, :mod:`~proml.index.queries`, :mod:`~proml.index.lineage`.
"""
