"""How much stock a node of its own keeps, and where it has too little. Reads the store, writes nothing."""

from collections.abc import Iterable, Mapping, Sequence

from hither.mpc.contract import Key
from hither.mpc.local import list_signer_sets
from hither.mpc.schemes import Domain
from hither.mpc.store import NodeStore


def count_owned_wanted(members: Sequence[int], domain: Domain, total: int) -> int:
    """How much each signer of each set owns, so that the network keeps so much of all sets, or of each, together."""
    sets = 1 if domain.scheme.is_stock_per_set else max(1, len(list_signer_sets(members, domain)))
    return -(-total // (sets * domain.signer_count))


def list_lacking(
    store: NodeStore, me: int, members: Sequence[int], keys: Iterable[Key], stock: Mapping[str, int]
) -> list[tuple[int, int, tuple[int, ...]]]:
    """Where this node has less of its own than it keeps: how much, of which domain, with which signers.

    ``stock``: totals by protocol, where the operator wants others than the usual.
    """
    lacking = []
    for key in keys:
        domain = key.domain
        if domain.scheme.presign is None:
            continue
        wanted = count_owned_wanted(members, domain, stock.get(domain.protocol, domain.scheme.stock))
        for signers in list_signer_sets(members, domain):
            if me in signers:
                count = len(store.list_presignatures(domain.id, signers, me))
                if count < wanted:
                    lacking.append((count, domain.id, signers))
    return lacking
