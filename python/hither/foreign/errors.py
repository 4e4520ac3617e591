"""What can go wrong with another chain, as one tree of exceptions.

::

    ForeignError                code, retryable, hint
    ├── InvalidInput            the caller's mistake, nothing was sent
    │   ├── InvalidChainId      not CAIP-2
    │   ├── InvalidAddress      malformed, or its checksum is wrong
    │   │   └── WrongNetwork    good, but of another chain or network
    │   ├── InvalidPublicKey
    │   ├── InvalidAmount       negative, too large, or dust
    │   ├── InvalidArguments    do not fit the types of a contract's function or of a message
    │   └── MalformedTransaction  bytes that are no transaction of this family
    ├── WrongSignature          not of this key, or for other bytes; never sent
    ├── InsufficientFunds       amount and fee exceed the balance
    ├── TransportError          no usable answer; whether it arrived is not known
    │   └── EndpointTimeout     none in the time given
    ├── EndpointError           the endpoint answered with an error: rpc_code, data
    │   ├── RateLimited         asked too often: pause_seconds
    │   ├── BroadcastRefused    the chain does not take the transaction: reason
    │   └── CallReverted        a contract refused a call that was tried, not sent: reason
    ├── LyingEndpoint           an answer that cannot be true
    │   └── EndpointsDisagree   of several endpoints too few gave one answer
    ├── TransactionDropped      can never be included: replaced or expired
    │   └── TransactionReplaced   another of the same account took its place: replaced_by
    ├── TransactionFailed       included, paid for, without effect
    ├── FinalityTimeout         not final in the time given; it may still happen
    │   └── NonceGap            it waits for an earlier transaction of its account, which is missing
    └── EngineError             a development chain did not start, or died

``retryable`` means: the same request may succeed later without a change. ``code`` is stable.
"""

from collections.abc import Callable
from typing import Any, Final

RESTART: Final = "hither down, then hither up; its state stays"
"""What to do when a part of a network of ours has ended."""


class ForeignError(Exception):
    """The root of the tree."""

    code: str = "FOREIGN_ERROR"
    retryable: bool = False
    hint: str | None = None

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class InvalidInput(ForeignError, ValueError):
    """The caller's mistake; nothing was sent."""

    code = "INVALID_INPUT"
    hint = "correct what the message names; nothing was sent"


class InvalidChainId(InvalidInput):
    """Not a CAIP-2 chain id, or not one of this family."""

    code = "INVALID_CHAIN_ID"
    hint = "write a CAIP-2 id, as eip155:8453, or a chain's name"


class InvalidAddress(InvalidInput):
    """Malformed, or the checksum does not fit."""

    code = "INVALID_ADDRESS"
    hint = "compare the address with its source, letter by letter"


class WrongNetwork(InvalidAddress):
    """A good address, of another chain or network."""

    code = "WRONG_NETWORK"
    hint = "use an address of the network that you send on"


class InvalidPublicKey(InvalidInput):
    """Not a key of the scheme that the chain uses."""

    code = "INVALID_PUBLIC_KEY"
    hint = "use a key of the scheme that the chain uses: secp256k1 for EVM and Bitcoin, ed25519 for Solana"


class InvalidAmount(InvalidInput):
    """Negative, too large for the chain, or too small to be sent."""

    code = "INVALID_AMOUNT"
    hint = "write an amount with its unit, as '0.1 ETH', within what the message names"


class InvalidArguments(InvalidInput):
    """Values that do not fit the types of a contract's function, or of a message."""

    code = "INVALID_ARGUMENTS"
    hint = "compare the values with the types of the function or message"


class MalformedTransaction(InvalidInput):
    """Bytes that are no transaction of this family."""

    code = "MALFORMED_TRANSACTION"
    hint = "build the transaction anew; its bytes cannot be read"


class WrongSignature(ForeignError):
    """The signature is not of this key, or was made for other bytes. The transaction was not sent."""

    code = "WRONG_SIGNATURE"
    hint = "sign the payload that the adapter lists, with the derived key; nothing was sent"


class InsufficientFunds(ForeignError):
    """Amount and fee exceed the balance.

    ``balance`` and ``needed`` are in the smallest unit of the chain's coin (or of a token); ``write`` makes a text of
    such a number, as ``1.5 ETH``. ``address`` is where the missing money must go, when it is the chain's coin that is
    missing; with ``spare`` more than what is missing it also passes when something must stay there.
    """

    code = "INSUFFICIENT_FUNDS"
    hint = "send money to the address first; amount and fee must be there together"

    def __init__(
        self,
        message: str,
        *,
        balance: int,
        needed: int,
        write: Callable[[int], str] = "{} units".format,
        address: str | None = None,
        spare: int = 0,
    ) -> None:
        place = "" if address is None else f" on {address}"
        super().__init__(message, hint=f"{write(needed - balance)} more are needed{place}")
        self.balance = balance
        self.needed = needed
        self.address = address
        self.spare = spare


class TransportError(ForeignError):
    """No usable answer. Whether the request arrived is not known."""

    code = "TRANSPORT"
    hint = "check that the endpoint runs and its address; resume the transfer, which sends nothing twice"
    retryable = True

    def __init__(self, message: str, *, http_status: int | None = None, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.http_status = http_status
        # Refusals that a later attempt will meet again.
        if http_status is not None and http_status < 500 and http_status not in (408, 425, 429):
            self.retryable = False


class EndpointTimeout(TransportError):
    """No whole answer in the time given."""

    code = "TIMEOUT"
    hint = "try again later, or use another endpoint; resume the transfer, which sends nothing twice"


class EndpointError(ForeignError):
    """The endpoint understood the request and answered with an error."""

    code = "ENDPOINT_ERROR"
    hint = "read the endpoint's reason; another endpoint may answer"

    def __init__(
        self,
        message: str,
        *,
        rpc_code: int | None = None,
        data: Any = None,
        hint: str | None = None,
        cause: Any = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.rpc_code = rpc_code
        self.data = data
        self.cause = cause
        """NEAR's nodes name the reason here."""


class RateLimited(EndpointError):
    """The endpoint was asked too often; it did nothing. ``pause_seconds`` is what it asks for, if it says so."""

    code = "RATE_LIMITED"
    hint = "wait as long as the endpoint asks, or use several endpoints"
    retryable = True
    pause_seconds: float | None = None


class BroadcastRefused(EndpointError):
    """The chain does not take the transaction; the message is the node's reason."""

    code = "BROADCAST_REFUSED"
    hint = "read the chain's reason: a fee that is too low, a nonce that is used, coins that are spent"


class CallReverted(EndpointError):
    """A contract refused a call that was tried and not sent; the message is its reason."""

    code = "CALL_REVERTED"
    hint = "read the contract's reason; nothing was sent and nothing was paid"


class LyingEndpoint(ForeignError):
    """An answer that cannot be true, such as another chain's id. Nothing was sent."""

    code = "LYING_ENDPOINT"
    hint = "do not use that endpoint; nothing was sent"


class EndpointsDisagree(LyingEndpoint):
    """Of several endpoints too few gave the same answer. Nodes that lag behind agree a little later."""

    code = "ENDPOINTS_DISAGREE"
    hint = "wait until the endpoints have caught up, or remove the one that differs"
    retryable = True


class TransactionDropped(ForeignError):
    """The transaction can never be included: another took its place, or it expired. Nothing was paid."""

    code = "TRANSACTION_DROPPED"
    hint = "build the transfer anew: the old one can never happen"


class TransactionReplaced(TransactionDropped):
    """Another transaction of the same account took its place: ``replaced_by``."""

    code = "TRANSACTION_REPLACED"
    hint = "look at the transaction that took its place before sending another"

    def __init__(self, message: str, *, replaced_by: str) -> None:
        super().__init__(message)
        self.replaced_by = replaced_by


class TransactionFailed(ForeignError):
    """Included and paid for, but without effect; the message is the chain's reason."""

    code = "TRANSACTION_FAILED"
    hint = "read the chain's reason; the fee is paid, the rest did not happen"


class FinalityTimeout(ForeignError):
    """Not final within the time given; it may still happen, so track it again."""

    code = "FINALITY_TIMEOUT"
    hint = "track the transaction again: it may still happen"
    retryable = True


class NonceGap(FinalityTimeout):
    """It waits for an earlier transaction of its account, which the chain does not know."""

    code = "NONCE_GAP"
    hint = "send the missing transaction, or replace this one"


class EngineError(ForeignError):
    """A development chain did not start, or died."""

    code = "ENGINE"
    hint = "read the engine's log, which the message names; `hither doctor` checks what it needs"
