"""Content exchange: the bytes of versions between a participant's folders, stores, and other participants' nodes.

    version.py    the manifest behind NAME@V
    transfer.py   several objects at once, from whichever place has them unharmed
    target.py     gives files their names in a folder, and never outside of it
    fetching.py   places → folder
    pushing.py    folder or places → place; copies in n places
    holdings.py   which place says that it has what
    sampling.py   reads random parts from every place, and compares them

No place is believed: what a manifest names is compared with its digest by whoever receives it.
"""
