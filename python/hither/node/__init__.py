"""A running chain: home directory, storage, sequencer and server in one process.

Entry points: ``home`` (``init_home``, ``read_home``, ``lock_home``: the files that NEAR's node has there).
"""
