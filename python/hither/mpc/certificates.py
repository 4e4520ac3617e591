"""TLS 1.3 between nodes, both sides known by the ed25519 keys that the contract lists.

A node certifies itself with its own key. Of the others only the keys are known, so an anchor is made for each: a
certificate of that key, signed by nobody who matters. OpenSSL then accepts exactly the chains that end at one of
these keys (X509_V_FLAG_PARTIAL_CHAIN), and the handshake proves that the other holds it. Names and dates mean
nothing here.
"""

import datetime
import os
import ssl
from collections.abc import Iterable
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

ALPN: Final = "hither-mpc/1"
_FROM: Final = datetime.datetime(2020, 1, 1)
_UNTIL: Final = datetime.datetime(2120, 1, 1)
_LEAF_NAME: Final = "node"
_PIN_NAME: Final = "pin"


def _make_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _name_key(key: Ed25519PublicKey) -> x509.Name:
    """A common name holds at most 64 characters."""
    return _make_name(key.public_bytes_raw().hex())


def _make_certificate(
    key: Ed25519PublicKey,
    subject: x509.Name,
    issuer: x509.Name,
    signer: Ed25519PrivateKey,
    *,
    is_anchor: bool,
) -> bytes:
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(2 - is_anchor)
        .not_valid_before(_FROM)
        .not_valid_after(_UNTIL)
        .add_extension(x509.BasicConstraints(is_anchor, 0 if is_anchor else None), critical=True)
    )
    return builder.sign(signer, None).public_bytes(Encoding.PEM)


def make_context(key: Ed25519PrivateKey, peers: Iterable[bytes], *, is_server: bool) -> ssl.SSLContext:
    """A context that shows our key and takes the peers' keys alone."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if is_server else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False  # Who answers is told by its key, not by its address.
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.set_alpn_protocols([ALPN])
    if is_server:
        context.num_tickets = 0  # A resumed session would skip the check of the key.
    trust_peers(context, peers)
    public = key.public_key()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    leaf = _make_certificate(public, _make_name(_LEAF_NAME), _name_key(public), key, is_anchor=False)
    # The library takes files only; this one is memory and never reaches a disk.
    descriptor = os.memfd_create("tls", os.MFD_CLOEXEC)
    with os.fdopen(descriptor, "wb") as file:
        file.write(private + leaf)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    return context


def trust_peers(context: ssl.SSLContext, peers: Iterable[bytes]) -> None:
    """Take these keys from now on. None is ever taken back: whoever accepts a connection asks ``get_peer_key``."""
    nobody = Ed25519PrivateKey.generate()
    anchors = []
    for peer in peers:
        key = Ed25519PublicKey.from_public_bytes(peer)
        anchors.append(_make_certificate(key, _name_key(key), _make_name(_PIN_NAME), nobody, is_anchor=True))
    if anchors:
        context.load_verify_locations(cadata=b"".join(anchors).decode("ascii"))


def get_peer_key(connection: ssl.SSLObject) -> bytes | None:
    """The ed25519 key that the other side has proved to hold; None if it is of another kind."""
    certificate = connection.getpeercert(binary_form=True)
    if certificate is None:
        return None
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes_raw() if isinstance(key, Ed25519PublicKey) else None
