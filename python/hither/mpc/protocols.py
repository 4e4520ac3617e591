"""Threshold protocols as jobs: start a run for each participant, move messages, take the result.

A run never waits and never sends: ``poke`` it, deliver what it hands out, ``message`` it with
what arrives. Runs of participants in one process are moved natively by ``run_protocols``.
Shares, triples and presignatures are ``Secret``; a presignature signs once, so its
owner deletes it durably before it starts to sign.

ECDSA has two protocols. ``start_triple``, ``start_ecdsa_presign`` and ``start_ecdsa_sign`` (Cait-Sith) work with
any t signers and give everyone the signature. ``start_robust_presign`` and ``start_robust_sign`` need the same 2t - 1
signers in both and give it to the coordinator alone, as ``start_app_key`` (confidential keys, bls12381) does:
the others' result is empty. Both want the same request at everyone, and fail, naming
nobody, where views differ.
"""

from typing import Literal

from hither_native import (
    ProtocolFailure,
    ProtocolRun,
    Secret,
    answers_app_key_request,
    compute_app_id,
    compute_tweak,
    derive_public_key,
    make_app_secret,
    public_key_of_share,
    run_protocols,
    start_app_key,
    start_ecdsa_presign,
    start_ecdsa_sign,
    start_eddsa_presign,
    start_eddsa_sign,
    start_keygen,
    start_reshare,
    start_robust_presign,
    start_robust_sign,
    start_triple,
    unmask_app_key,
)

SigningCurve = Literal["secp256k1", "ed25519"]
Curve = Literal["secp256k1", "ed25519", "bls12381"]

__all__ = [
    "Curve",
    "ProtocolFailure",
    "ProtocolRun",
    "Secret",
    "SigningCurve",
    "answers_app_key_request",
    "compute_app_id",
    "compute_tweak",
    "derive_public_key",
    "make_app_secret",
    "public_key_of_share",
    "run_protocols",
    "start_app_key",
    "start_ecdsa_presign",
    "start_ecdsa_sign",
    "start_eddsa_presign",
    "start_eddsa_sign",
    "start_keygen",
    "start_reshare",
    "start_robust_presign",
    "start_robust_sign",
    "start_triple",
    "unmask_app_key",
]
