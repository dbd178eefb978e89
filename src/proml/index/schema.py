"""The read model's tables."""

from __future__ import annotations

from sqlalchemy import Engine


def open_index(url: str) -> Engine:
    """Opens the index, and makes an empty one if there is none, it is broken, or its schema is of another version.

    Args:
        url: Path of a SQLite file, or an SQLAlchemy URL (``postgresql+psycopg://…``).
    """
    raise NotImplementedError
