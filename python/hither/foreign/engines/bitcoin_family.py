"""Which relatives a waiting transaction of version 3 may have (BIP-431, "TRUC"): one parent or one child, both small.

Words are Bitcoin Core's of the 29 series, where all of these refusals have the reason ``TRUC-violation``.
"""

from collections.abc import Iterable
from typing import Final

from btclib.tx import Tx

VERSION: Final = 3
SIZE_MAX: Final = 10_000
CHILD_SIZE_MAX: Final = 1_000


class FamilyError(Exception):
    """What is wrong, in Core's words."""


def validate_family(transaction: Tx, size: int, ancestors: Iterable[Tx]) -> None:
    """Versions of relatives, how many come before, sizes in virtual bytes. Raises ``FamilyError``."""
    before = list(ancestors)
    for one in before:
        if (one.version == VERSION) != (transaction.version == VERSION):
            ours, theirs = ("" if each.version == VERSION else "non-" for each in (transaction, one))
            raise FamilyError(
                f"{ours}version=3 {name_transaction(transaction)} cannot spend from {theirs}version=3 "
                f"{name_transaction(one)}"
            )
    if transaction.version != VERSION:
        return
    name = name_transaction(transaction)
    if size > SIZE_MAX:
        raise FamilyError(f"version=3 {name} is too big: {size} > {SIZE_MAX} virtual bytes")
    if len(before) > 1:
        raise FamilyError(f"{name} would have too many ancestors")
    if before and size > CHILD_SIZE_MAX:
        raise FamilyError(f"version=3 child {name} is too big: {size} > {CHILD_SIZE_MAX} virtual bytes")


def name_transaction(transaction: Tx) -> str:
    """By both of its hashes."""
    return f"tx {transaction.id.hex()} (wtxid={transaction.hash.hex()})"
