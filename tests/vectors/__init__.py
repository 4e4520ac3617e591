"""Replays of what NEAR's own node did, recorded as data.

``recording`` reads the files, ``replay`` applies every chunk with our runtime and
compares; ``python -m tests.vectors.replay FOLDER`` shows the first differences.
"""
