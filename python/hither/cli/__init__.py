"""The command line: ``hither`` and ``hither-sandbox``.

Entry points: ``main`` (the command ``hither``) and ``sandbox`` (NEAR's sandbox argument forms over the same
code). Each subcommand is a module of its own, imported when it is called, so that ``--version`` and
``--help`` answer at once.

A command reaches a running network by JSON-RPC alone, and finds it through ``HOME/endpoints.json``. Messages
for people go to standard error when standard output carries data (``--json``).
"""
