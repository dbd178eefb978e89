"""Measurements, one module per question: each has ``rows()`` and the ``NAMES`` it can measure."""
