"""How many signatures a second the protocols alone make: three nodes of one process, no chain, nothing from stock.

Each signature is made from nothing but key shares, triples and presignatures included, and is verified by the
protocol itself before it counts. Threads work natively, without the interpreter's lock.
"""

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Literal

from hither.mpc import protocols
from hither.mpc.protocols import Curve, ProtocolRun, Secret

Scheme = Literal["cait-sith", "robust", "frost"]

PARTICIPANTS: Final = [0, 1, 2]
THRESHOLD: Final = 2
_TWEAK: Final = protocols.compute_tweak("alice.near", "ethereum-1")

Shares = dict[int, Secret]


def measure_sustained(scheme: Scheme, seconds: float, threads: int | None = None) -> float:
    """Signatures a second, made for at least so long on so many threads (all cores unless given)."""
    curve, sign = _SCHEMES[scheme]
    shares = _run(lambda me: protocols.start_keygen(curve, b"throughput", PARTICIPANTS, me, THRESHOLD))
    count = threads or os.cpu_count() or 1
    begin = time.monotonic()

    def work() -> int:
        made = 0
        while time.monotonic() - begin < seconds:
            sign(shares)
            made += 1
        return made

    with ThreadPoolExecutor(count) as pool:
        made = sum(worker.result() for worker in [pool.submit(work) for _ in range(count)])
    return made / (time.monotonic() - begin)


def _run(start: Callable[[int], ProtocolRun], members: list[int] = PARTICIPANTS) -> Shares:
    return dict(protocols.run_protocols([(me, start(me)) for me in members]))


def _sign_cait_sith(shares: Shares) -> None:
    signers = PARTICIPANTS[:THRESHOLD]
    # As a node makes them: of exactly the signers, so that nobody else need be there.
    first, second = (
        _run(lambda me: protocols.start_triple(signers, me, THRESHOLD), signers) for _ in range(2)
    )
    stock = _run(
        lambda me: protocols.start_ecdsa_presign(shares[me], signers, first[me], second[me]), signers
    )
    digest, entropy = _make_digest(), os.urandom(32)
    _run(
        lambda me: protocols.start_ecdsa_sign(shares[me], signers, _TWEAK, digest, entropy, stock[me]),
        signers,
    )


def _sign_robust(shares: Shares) -> None:
    stock = _run(lambda me: protocols.start_robust_presign(shares[me], PARTICIPANTS))
    digest, entropy = _make_digest(), os.urandom(32)
    _run(
        lambda me: protocols.start_robust_sign(
            shares[me], PARTICIPANTS, 0, _TWEAK, digest, entropy, stock[me]
        )
    )


def _sign_frost(shares: Shares) -> None:
    signers, message = PARTICIPANTS[:THRESHOLD], os.urandom(200)
    _run(lambda me: protocols.start_eddsa_sign(shares[me], signers, me, _TWEAK, message), signers)


def _make_digest() -> bytes:
    """Below the order of secp256k1, and not zero."""
    return b"\1" + os.urandom(31)


_SCHEMES: Final[dict[Scheme, tuple[Curve, Callable[[Shares], None]]]] = {
    "cait-sith": ("secp256k1", _sign_cait_sith),
    "robust": ("secp256k1", _sign_robust),
    "frost": ("ed25519", _sign_frost),
}
