"""The methods of the server, one file a family. ``make_methods`` puts them together.

A file has ``METHODS``: names to ``Method`` (how parameters are read, what answers). What answers
takes the context and the typed parameters, and gives plain data or raises ``RpcError``.
"""

from hither.rpc.context import Method
from hither.rpc.methods import (
    blocks,
    changes,
    configuration,
    development,
    light_client,
    query,
    receipts,
    status,
    transactions,
    validators,
)


def make_methods(protocol_version: int, *, is_development: bool) -> dict[str, Method]:
    """All methods by name. ``is_development``: whether the chain may be controlled through them."""
    methods: dict[str, Method] = {
        **blocks.METHODS,
        **changes.METHODS,
        **configuration.METHODS,
        **light_client.METHODS,
        **query.METHODS,
        **receipts.METHODS,
        **status.METHODS,
        **transactions.make_methods(protocol_version),
        **validators.METHODS,
    }
    return {**methods, **development.METHODS} if is_development else methods
