"""Threshold protocols as jobs: start a run for each participant, move messages, take the result.

A run never waits and never sends: ``poke`` it, deliver what it hands out, ``message`` it with
what arrives. Runs of participants in one process are moved natively by ``run_protocols``.
Shares, triples and presignatures are ``Secret``; a presignature signs once, so its
owner deletes it durably before it starts to sign.
"""

from typing import Literal

from hither_native import (
    ProtocolFailure,
    ProtocolRun,
    Secret,
    compute_tweak,
    derive_public_key,
    public_key_of_share,
    run_protocols,
    start_ecdsa_presign,
    start_ecdsa_sign,
    start_eddsa_presign,
    start_eddsa_sign,
    start_keygen,
    start_reshare,
    start_triple,
)

Curve = Literal["secp256k1", "ed25519"]

__all__ = [
    "Curve",
    "ProtocolFailure",
    "ProtocolRun",
    "Secret",
    "compute_tweak",
    "derive_public_key",
    "public_key_of_share",
    "run_protocols",
    "start_ecdsa_presign",
    "start_ecdsa_sign",
    "start_eddsa_presign",
    "start_eddsa_sign",
    "start_keygen",
    "start_reshare",
    "start_triple",
]
