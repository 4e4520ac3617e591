"""hither: one account on every chain."""

__version__ = "0.1.0"
