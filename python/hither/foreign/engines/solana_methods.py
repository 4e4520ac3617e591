"""Solana's JSON-RPC methods over the chain of this folder, in the forms that its clients read.

Every error carries ``data``: a client that must find some does not fail over its absence. Commitment is taken and
has no effect, for what is included is final.
"""

import base64
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

import msgspec
from solders.hash import Hash, ParseHashError
from solders.message import Message, MessageV0, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import SanitizeError, VersionedTransaction

from hither.codec import base58
from hither.foreign.engines.solana_chain import GENESIS_HASH, Refused, SolanaChain
from hither.foreign.engines.solana_journal import Record

LAMPORTS_PER_SIGNATURE: Final = 5000
AIRDROP_LAMPORTS_MAX: Final = 1_000_000 * 10**9
BASE58_BYTES_MAX: Final = 128
PACKET_BYTES_MAX: Final = 1232
SIGNATURES_PER_QUERY_MAX: Final = 1000
ACCOUNTS_PER_QUERY_MAX: Final = 100
STATUSES_PER_QUERY_MAX: Final = 256
RELEASE: Final = "4.1.2"
"""The release of Solana's node whose virtual machine LiteSVM runs."""

INVALID_PARAMS: Final = -32602
PREFLIGHT_FAILED: Final = -32002
SIGNATURE_FAILED: Final = -32003

_ERROR_WORDS: Final = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
}

Params = list[Any]


class MethodError(Exception):
    """A JSON-RPC error."""

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        super().__init__(message)
        self.code = code
        self.data = {} if data is None else data


class DataSlice(msgspec.Struct, frozen=True):
    """Which part of an account's data is wanted."""

    offset: Annotated[int, msgspec.Meta(ge=0)]
    length: Annotated[int, msgspec.Meta(ge=0)]


class Options(msgspec.Struct, frozen=True, rename="camel"):
    """What the last parameter of a method may say; each method reads its own."""

    encoding: str | None = None
    data_slice: DataSlice | None = None
    skip_preflight: bool = False
    sig_verify: bool = False
    replace_recent_blockhash: bool = False
    before: str | None = None
    until: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=SIGNATURES_PER_QUERY_MAX)] | None = None
    max_supported_transaction_version: int | None = None


class Methods:
    """The methods by name."""

    def __init__(self, chain: SolanaChain) -> None:
        self.chain = chain
        self.by_name: Mapping[str, Callable[[Params], Any]] = {
            "getAccountInfo": self.get_account_info,
            "getBalance": lambda params: self._wrap(self.chain.get_balance(read_address(params, 0))),
            "getBlockHeight": lambda _: self.chain.height,
            "getBlockTime": self.get_block_time,
            "getEpochInfo": self.get_epoch_info,
            "getFeeForMessage": self.get_fee_for_message,
            "getFirstAvailableBlock": lambda _: self.chain.first_slot,
            "getGenesisHash": lambda _: str(GENESIS_HASH),
            "getHealth": lambda _: "ok",
            "getLatestBlockhash": self.get_latest_blockhash,
            "getMinimumBalanceForRentExemption": self.get_minimum_balance_for_rent_exemption,
            "getMultipleAccounts": self.get_multiple_accounts,
            "getRecentPrioritizationFees": lambda _: [],
            "getSignatureStatuses": self.get_signature_statuses,
            "getSignaturesForAddress": self.get_signatures_for_address,
            "getSlot": lambda _: self.chain.slot,
            "getTransaction": self.get_transaction,
            "getTransactionCount": lambda _: self.chain.transaction_count,
            "getVersion": lambda _: {"solana-core": RELEASE, "feature-set": 0},
            "isBlockhashValid": self.is_blockhash_valid,
            "requestAirdrop": self.request_airdrop,
            "sendTransaction": self.send_transaction,
            "simulateTransaction": self.simulate_transaction,
        }

    def answer(self, method: str, params: Params) -> Any:
        """The result. Raises ``MethodError``."""
        handler = self.by_name.get(method)
        if handler is None:
            raise MethodError(-32601, "Method not found")
        self.chain.advance()
        return handler(params)

    def _wrap(self, value: Any) -> dict[str, Any]:
        return {"context": {"slot": self.chain.slot, "apiVersion": RELEASE}, "value": value}

    # Chain

    def get_latest_blockhash(self, _: Params) -> Any:
        """With the last height at which it is good."""
        blockhash, last_height = self.chain.get_latest_blockhash()
        return self._wrap({"blockhash": str(blockhash), "lastValidBlockHeight": last_height})

    def is_blockhash_valid(self, params: Params) -> Any:
        """Whether a transaction may name it now."""
        try:
            blockhash = Hash.from_string(_read_text(params, 0))
        except ParseHashError as error:
            raise MethodError(INVALID_PARAMS, f"Invalid param: {error}") from None
        return self._wrap(self.chain.is_blockhash_valid(blockhash))

    def get_epoch_info(self, _: Params) -> Any:
        """One epoch without end."""
        return {
            "absoluteSlot": self.chain.slot,
            "blockHeight": self.chain.height,
            "epoch": self.chain.svm.get_clock().epoch,
            "slotIndex": self.chain.height,
            "slotsInEpoch": 432_000,
            "transactionCount": self.chain.transaction_count,
        }

    def get_block_time(self, params: Params) -> Any:
        """Of a slot with a transaction in it; None for others."""
        slot = params[0] if params else None
        return next((record.time_s for record in self.chain.records.values() if record.slot == slot), None)

    def get_minimum_balance_for_rent_exemption(self, params: Params) -> Any:
        """In lamports, for so many bytes."""
        if not params or not isinstance(params[0], int) or not 0 <= params[0] <= 10 * 1024 * 1024:
            raise MethodError(INVALID_PARAMS, "Invalid params: a number of bytes is needed")
        return self.chain.svm.minimum_balance_for_rent_exemption(params[0])

    # Accounts

    def get_account_info(self, params: Params) -> Any:
        """None for an account without lamports."""
        return self._wrap(_read_account(self.chain, read_address(params, 0), read_options(params, 1)))

    def get_multiple_accounts(self, params: Params) -> Any:
        """In the order asked for."""
        texts = params[0] if params and isinstance(params[0], list) else None
        if texts is None or len(texts) > ACCOUNTS_PER_QUERY_MAX:
            raise MethodError(INVALID_PARAMS, f"Invalid params: up to {ACCOUNTS_PER_QUERY_MAX} addresses")
        options = read_options(params, 1)
        addresses = [read_address(texts, index) for index in range(len(texts))]
        return self._wrap([_read_account(self.chain, address, options) for address in addresses])

    # Transactions

    def request_airdrop(self, params: Params) -> Any:
        """Development coins from the faucet."""
        address = read_address(params, 0)
        lamports = params[1] if len(params) > 1 else None
        if not isinstance(lamports, int) or not 0 < lamports <= AIRDROP_LAMPORTS_MAX:
            raise MethodError(INVALID_PARAMS, f"Invalid params: 1 to {AIRDROP_LAMPORTS_MAX} lamports")
        try:
            record = self.chain.airdrop(address, lamports)
        except Refused as refused:
            raise _make_preflight_error(refused) from None
        if record.error is not None:
            raise MethodError(-32603, "the airdrop failed", {"err": record.error})
        return record.signature

    def send_transaction(self, params: Params) -> Any:
        """Its signature. Without preflight what cannot be included vanishes, as on Solana."""
        options = read_options(params, 1)
        transaction = _read_transaction(params, options.encoding or "base58")
        try:
            if not options.skip_preflight:
                self.chain.simulate(transaction)
            self.chain.send(transaction)
        except Refused as refused:
            if refused.error == "SignatureFailure":
                raise MethodError(SIGNATURE_FAILED, "Transaction signature verification failure") from None
            if not options.skip_preflight:
                raise _make_preflight_error(refused) from None
        return str(transaction.signatures[0])

    def simulate_transaction(self, params: Params) -> Any:
        """What it would do; ``sigVerify`` is always on unless ``replaceRecentBlockhash`` asks otherwise."""
        options = read_options(params, 1)
        transaction = _read_transaction(params, options.encoding or "base58")
        replaces = options.replace_recent_blockhash
        result: dict[str, Any] = {"err": None, "accounts": None, "returnData": None}
        try:
            outcome = self._simulate(transaction, options.sig_verify, replaces)
            result.update(logs=outcome["logs"], unitsConsumed=outcome["compute_units_consumed"])
        except Refused as refused:
            result.update(err=refused.error, logs=refused.logs, unitsConsumed=refused.compute_units)
        if replaces:
            blockhash, last_height = self.chain.get_latest_blockhash()
            result["replacementBlockhash"] = {
                "blockhash": str(blockhash),
                "lastValidBlockHeight": last_height,
            }
        return self._wrap(result)

    def _simulate(self, transaction: VersionedTransaction, verifies: bool, replaces: bool) -> dict[str, Any]:
        """Without signatures when the caller did not ask to have them checked."""
        svm = self.chain.svm
        svm.with_sigverify(verifies)
        try:
            return self.chain.simulate(transaction, checks_blockhash=not replaces)[0]
        finally:
            svm.with_sigverify(True)

    def get_fee_for_message(self, params: Params) -> Any:
        """As the chain itself would charge; None when its blockhash has expired."""
        try:
            message = from_bytes_versioned(base64.b64decode(_read_text(params, 0), validate=True))
            signatures = [Signature.default()] * message.header.num_required_signatures
            transaction = VersionedTransaction.populate(message, signatures)
            transaction.sanitize()
        except (ValueError, SanitizeError) as error:
            raise MethodError(INVALID_PARAMS, f"invalid message: {error}") from None
        if not self.chain.is_blockhash_valid(message.recent_blockhash):
            return self._wrap(None)
        try:
            outcome = self._simulate(transaction, False, False)
        except Refused:
            return self._wrap(LAMPORTS_PER_SIGNATURE * message.header.num_required_signatures)
        return self._wrap(outcome["fee"])

    def get_signature_statuses(self, params: Params) -> Any:
        """None for the unknown."""
        signatures = params[0] if params and isinstance(params[0], list) else None
        if signatures is None or len(signatures) > STATUSES_PER_QUERY_MAX:
            raise MethodError(INVALID_PARAMS, f"Invalid params: up to {STATUSES_PER_QUERY_MAX} signatures")
        for index in range(len(signatures)):
            read_signature(signatures, index)
        return self._wrap([_format_status(self.chain.records.get(name)) for name in signatures])

    def get_signatures_for_address(self, params: Params) -> Any:
        """Newest first."""
        options = read_options(params, 1)
        names = list(reversed(self.chain.get_signatures(str(read_address(params, 0)))))
        before, until = options.before, options.until
        if before is not None:
            names = names[names.index(before) + 1 :] if before in names else []
        if until is not None and until in names:
            names = names[: names.index(until)]
        limit = options.limit or SIGNATURES_PER_QUERY_MAX
        return [
            {
                "signature": record.signature,
                "slot": record.slot,
                "err": record.error,
                "memo": None,
                "blockTime": record.time_s,
                "confirmationStatus": "finalized",
            }
            for record in (self.chain.records[name] for name in names[:limit])
        ]

    def get_transaction(self, params: Params) -> Any:
        """None for the unknown."""
        record = self.chain.records.get(read_signature(params, 0))
        if record is None:
            return None
        is_named = len(params) > 1 and isinstance(params[1], str)  # The older form: the encoding alone.
        options = Options(encoding=params[1]) if is_named else read_options(params, 1)
        is_v0 = isinstance(record.transaction.message, MessageV0)
        if is_v0 and options.max_supported_transaction_version is None:
            raise MethodError(
                -32015,
                "Transaction version (0) is not supported by the requesting client. Please try the request "
                'again with the following configuration parameter: "maxSupportedTransactionVersion": 0',
            )
        return {
            "slot": record.slot,
            "blockTime": record.time_s,
            "version": 0 if is_v0 else "legacy",
            "transaction": _format_transaction(record, options.encoding or "json"),
            "meta": _format_meta(record),
        }


# Reading parameters


def _read_text(params: Params, index: int) -> str:
    if len(params) <= index or not isinstance(params[index], str):
        raise MethodError(INVALID_PARAMS, f"Invalid params: parameter {index + 1} must be text")
    return str(params[index])


def read_options(params: Params, index: int) -> Options:
    """The object at this place, or one without wishes. Raises ``MethodError``."""
    options = params[index] if len(params) > index else None
    try:
        return msgspec.convert(options or {}, Options)
    except msgspec.ValidationError as error:
        raise MethodError(INVALID_PARAMS, f"Invalid params: {error}") from None


def read_address(params: Params, index: int) -> Pubkey:
    """Raises ``MethodError``."""
    try:
        return Pubkey.from_string(_read_text(params, index))
    except ValueError:
        raise MethodError(INVALID_PARAMS, "Invalid param: Invalid") from None


def read_signature(params: Params, index: int) -> str:
    """Its text, once it is known to be one. Raises ``MethodError``."""
    text = _read_text(params, index)
    try:
        Signature.from_string(text)
    except ValueError:
        raise MethodError(INVALID_PARAMS, "Invalid param: Invalid") from None
    return text


def _read_transaction(params: Params, encoding: str) -> VersionedTransaction:
    text = _read_text(params, 0)
    try:
        if encoding == "base58":
            data = base58.decode(text)
        elif encoding == "base64":
            data = base64.b64decode(text, validate=True)
        else:
            raise MethodError(INVALID_PARAMS, f"unsupported encoding: {encoding}. Supported: base58, base64")
        if len(data) > PACKET_BYTES_MAX:
            raise MethodError(
                INVALID_PARAMS,
                f"decoded VersionedTransaction too large: {len(data)} bytes (max: {PACKET_BYTES_MAX} bytes)",
            )
        transaction = VersionedTransaction.from_bytes(data)
        transaction.sanitize()
        if not isinstance(transaction.message, Message | MessageV0):
            raise MethodError(INVALID_PARAMS, "only legacy and version 0 transactions are taken")
    except (ValueError, SanitizeError) as error:
        raise MethodError(INVALID_PARAMS, f"failed to deserialize VersionedTransaction: {error}") from None
    if bytes(transaction) != data:
        raise MethodError(INVALID_PARAMS, "failed to deserialize VersionedTransaction: bytes are left over")
    return transaction


# Writing answers


def format_account(chain: SolanaChain, address: str, options: Options) -> dict[str, Any] | None:
    """As ``getAccountInfo`` gives it. The address is a good one."""
    return _read_account(chain, Pubkey.from_string(address), options)


def _read_account(chain: SolanaChain, address: Pubkey, options: Options) -> dict[str, Any] | None:
    account = chain.get_account(address)
    if account is None:
        return None
    data = bytes(account.data)
    part = options.data_slice
    shown = data[part.offset : part.offset + part.length] if part else data
    encoding = options.encoding or "binary"
    if encoding in ("base58", "binary") and len(shown) > BASE58_BYTES_MAX:
        raise MethodError(
            -32600,
            "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
        )
    if encoding == "base58":
        content: Any = [base58.encode(shown), "base58"]
    elif encoding == "binary":
        content = base58.encode(shown)
    else:  # What is not parsed comes in base64, as from Solana's node for programs that it does not know.
        content = [base64.b64encode(shown).decode(), "base64"]
    return {
        "lamports": account.lamports,
        "owner": str(account.owner),
        "data": content,
        "executable": account.executable,
        "rentEpoch": account.rent_epoch,
        "space": len(data),
    }


def _make_preflight_error(refused: Refused) -> MethodError:
    data = {
        "err": refused.error,
        "logs": refused.logs,
        "accounts": None,
        "unitsConsumed": refused.compute_units,
        "returnData": None,
        "innerInstructions": None,
    }
    return MethodError(
        PREFLIGHT_FAILED, f"Transaction simulation failed: {_describe_error(refused.error)}", data
    )


def _describe_error(error: Any) -> str:
    """In the words of Solana's node, which clients look for."""
    if isinstance(error, str):
        return _ERROR_WORDS.get(error, error)
    if not isinstance(error, dict) or "InstructionError" not in error:
        return str(error)
    place, cause = error["InstructionError"]
    if isinstance(cause, dict) and "Custom" in cause:
        cause = f"custom program error: {cause['Custom']:#x}"
    return f"Error processing Instruction {place}: {cause}"


def _format_status(record: Record | None) -> dict[str, Any] | None:
    if record is None:
        return None
    return {
        "slot": record.slot,
        "confirmations": None,
        "err": record.error,
        "status": {"Ok": None} if record.error is None else {"Err": record.error},
        "confirmationStatus": "finalized",
    }


def _format_transaction(record: Record, encoding: str) -> Any:
    raw = bytes(record.transaction)
    if encoding == "base64":
        return [base64.b64encode(raw).decode(), "base64"]
    if encoding in ("base58", "binary"):
        return [base58.encode(raw), "base58"] if encoding == "base58" else base58.encode(raw)
    message = record.transaction.message
    body: dict[str, Any] = {
        "accountKeys": [str(key) for key in message.account_keys],
        "recentBlockhash": str(message.recent_blockhash),
    }
    if encoding == "jsonParsed":
        body["accountKeys"] = _format_parsed_keys(record)
        body["instructions"] = [
            {
                "programId": record.account_keys[instruction.program_id_index],
                "accounts": [record.account_keys[index] for index in instruction.accounts],
                "data": base58.encode(bytes(instruction.data)),
                "stackHeight": None,
            }
            for instruction in message.instructions
        ]
    else:
        header = message.header
        body["header"] = {
            "numRequiredSignatures": header.num_required_signatures,
            "numReadonlySignedAccounts": header.num_readonly_signed_accounts,
            "numReadonlyUnsignedAccounts": header.num_readonly_unsigned_accounts,
        }
        body["instructions"] = [
            {
                "programIdIndex": instruction.program_id_index,
                "accounts": list(instruction.accounts),
                "data": base58.encode(bytes(instruction.data)),
                "stackHeight": None,
            }
            for instruction in message.instructions
        ]
    if isinstance(message, MessageV0):
        body["addressTableLookups"] = [
            {
                "accountKey": str(lookup.account_key),
                "writableIndexes": list(lookup.writable_indexes),
                "readonlyIndexes": list(lookup.readonly_indexes),
            }
            for lookup in message.address_table_lookups
        ]
    return {"signatures": [str(item) for item in record.transaction.signatures], "message": body}


def _format_parsed_keys(record: Record) -> list[dict[str, Any]]:
    message = record.transaction.message
    assert isinstance(message, Message | MessageV0), "others are refused when they come in"
    own = len(message.account_keys)
    return [
        {
            "pubkey": name,
            "signer": index < message.header.num_required_signatures,
            "writable": _is_writable(message, index)
            if index < own
            else index < own + len(record.writable_loaded),
            "source": "transaction" if index < own else "lookupTable",
        }
        for index, name in enumerate(record.account_keys)
    ]


def _is_writable(message: Message | MessageV0, index: int) -> bool:
    """By the place of a message's own key: signers come first, within each group the writable ones."""
    header = message.header
    if index < header.num_required_signatures:
        return index < header.num_required_signatures - header.num_readonly_signed_accounts
    return index < len(message.account_keys) - header.num_readonly_unsigned_accounts


def _format_meta(record: Record) -> dict[str, Any]:
    return {
        "err": record.error,
        "status": {"Ok": None} if record.error is None else {"Err": record.error},
        "fee": record.outcome["fee"],
        "preBalances": list(record.balances_before),
        "postBalances": list(record.balances_after),
        "innerInstructions": [],
        "logMessages": record.outcome["logs"],
        "preTokenBalances": [],
        "postTokenBalances": [],
        "rewards": [],
        "loadedAddresses": {
            "writable": list(record.writable_loaded),
            "readonly": list(record.readonly_loaded),
        },
        "computeUnitsConsumed": record.outcome["compute_units_consumed"],
    }
