"""What nodes tell each other, as MessagePack.

A frame is one message; one that does not decode is dropped and counted.
"""

import hashlib
from typing import Final

import msgspec

CHANNEL_BYTES: Final = 32
IDS_MAX: Final = 4_096


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Sent regularly: how far the sender has read the chain, and its epoch."""

    height: int
    epoch_id: int


class PresignJob(msgspec.Struct, frozen=True, tag="presign"):
    """Make stock: ``id`` names what comes of it."""

    domain_id: int
    signers: tuple[int, ...]
    id: bytes


class SignJob(msgspec.Struct, frozen=True, tag="sign"):
    """Sign a request that every signer has seen on chain by itself; ``presignature`` is None where none is needed."""

    domain_id: int
    signers: tuple[int, ...]
    request_key: bytes
    presignature: bytes | None


Job = PresignJob | SignJob


class Begin(msgspec.Struct, frozen=True, tag="begin"):
    """The sender leads a job and asks its signers to take part."""

    epoch_id: int
    nonce: bytes
    job: Job


class Data(msgspec.Struct, frozen=True, tag="data"):
    """A protocol message: of which job and which run of it."""

    epoch_id: int
    channel: bytes
    step: int
    data: bytes


class End(msgspec.Struct, frozen=True, tag="end"):
    """The sender has given up a job, or somebody on whom it waited: then it was silence."""

    epoch_id: int
    channel: bytes
    reason: str
    is_silence: bool = False


class PassedOn(msgspec.Struct, frozen=True, tag="passed"):
    """The sender led a request and failed: whoever is next need not wait."""

    request_key: bytes


class Announce(msgspec.Struct, frozen=True, tag="announce"):
    """All stock that the sender made with the receiver and still has."""

    epoch_id: int
    ids: list[bytes]


class Unknown(msgspec.Struct, frozen=True, tag="unknown"):
    """Of the announced stock, what the sender of this does not have."""

    epoch_id: int
    ids: list[bytes]


Message = Status | Begin | Data | End | PassedOn | Announce | Unknown

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Message)


class InvalidMessage(ValueError):
    """These bytes are no message of ours."""


def encode_message(message: Message) -> bytes:
    """As a frame."""
    return _ENCODER.encode(message)


def decode_message(frame: bytes) -> Message:
    """Raises InvalidMessage."""
    try:
        message: Message = _DECODER.decode(frame)
    except (msgspec.DecodeError, msgspec.ValidationError, RecursionError) as error:
        raise InvalidMessage(str(error)) from error
    if isinstance(message, Data | End) and len(message.channel) != CHANNEL_BYTES:
        raise InvalidMessage("a channel of the wrong length")
    if isinstance(message, Announce | Unknown) and len(message.ids) > IDS_MAX:
        raise InvalidMessage("too many ids")
    return message


def compute_channel(contract_id: str, leader: int, begin: Begin) -> bytes:
    """The channel of a job: bound to the network, the epoch, the leader and everything that the job says.

    Signers who were told different things talk on different channels, so that nothing of one reaches the other.
    """
    head = f"hither-mpc job {contract_id} {leader} ".encode()
    return hashlib.sha256(head + _ENCODER.encode(begin)).digest()


def compute_event_channel(contract_id: str, epoch_id: int, domain_id: int, attempt_id: int) -> bytes:
    """The channel of an attempt at a key. Nobody announces it: all read it from the contract."""
    return hashlib.sha256(
        f"hither-mpc key {contract_id} {epoch_id} {domain_id} {attempt_id}".encode()
    ).digest()
