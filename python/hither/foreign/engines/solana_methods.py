"""Solana's JSON-RPC methods over the chain of this folder, in the forms that its clients read.

Every error carries ``data``: a client that must find some does not fail over its absence. Commitment is taken and
has no effect, for what is included is final.
"""

import base64
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from solders.account import Account
from solders.hash import Hash, ParseHashError
from solders.message import MessageV0, from_bytes_versioned
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.transaction import SanitizeError, VersionedTransaction

from hither.codec import base58
from hither.foreign.engines import solana_views as views
from hither.foreign.engines.solana_chain import BLOCKHASH_WINDOW, GENESIS_HASH, Refused, SolanaChain
from hither.foreign.engines.solana_extensions import view_extensions
from hither.foreign.engines.solana_journal import Record
from hither.foreign.engines.solana_params import (
    INVALID_PARAMS,
    SIGNATURES_PER_QUERY_MAX,
    MethodError,
    Options,
    Params,
    read_address,
    read_list,
    read_number,
    read_options,
    read_signature,
    read_text,
    read_token_filter,
    read_transaction,
)
from hither.foreign.solana_tokens import TOKEN_PROGRAMS, Holding, Mint, read_holding, read_mint

LAMPORTS_PER_SIGNATURE: Final = 5000
AIRDROP_LAMPORTS_MAX: Final = 1_000_000 * 10**9
ACCOUNT_BYTES_MAX: Final = 10 * 1024 * 1024
BASE58_BYTES_MAX: Final = 128
ACCOUNTS_PER_QUERY_MAX: Final = 100
STATUSES_PER_QUERY_MAX: Final = 256
BLOCKS_PER_QUERY_MAX: Final = 500_000
LARGEST_MAX: Final = 20
SLOTS_PER_EPOCH: Final = 432_000
RELEASE: Final = "4.1.2"
"""The release of Solana's node whose virtual machine LiteSVM runs."""

PREFLIGHT_FAILED: Final = -32002
SIGNATURE_FAILED: Final = -32003
BLOCK_NOT_AVAILABLE: Final = -32004
VERSION_NOT_SUPPORTED: Final = -32015

_ERROR_WORDS: Final = {
    "AccountNotFound": "Attempt to debit an account but found no record of a prior credit.",
    "AlreadyProcessed": "This transaction has already been processed",
    "BlockhashNotFound": "Blockhash not found",
    "InsufficientFundsForFee": "Insufficient funds for fee",
}


class Methods:
    """The methods by name."""

    def __init__(self, chain: SolanaChain) -> None:
        self.chain = chain
        self.by_name: Mapping[str, Callable[[Params], Any]] = {
            "getAccountInfo": self.get_account_info,
            "getBalance": lambda params: self._wrap(self.chain.get_balance(read_address(params, 0))),
            "getBlock": self.get_block,
            "getBlockHeight": lambda _: self.chain.height,
            "getBlockTime": self.get_block_time,
            "getBlocks": self.get_blocks,
            "getClusterNodes": lambda _: [],
            "getEpochInfo": self.get_epoch_info,
            "getEpochSchedule": self.get_epoch_schedule,
            "getFeeForMessage": self.get_fee_for_message,
            "getFirstAvailableBlock": lambda _: self.chain.first_slot,
            "getGenesisHash": lambda _: str(GENESIS_HASH),
            "getHealth": lambda _: "ok",
            "getIdentity": lambda _: {"identity": str(Pubkey.default())},
            "getLatestBlockhash": self.get_latest_blockhash,
            "getMinimumBalanceForRentExemption": self.get_minimum_balance_for_rent_exemption,
            "getMultipleAccounts": self.get_multiple_accounts,
            "getProgramAccounts": self.get_program_accounts,
            "getRecentPerformanceSamples": lambda _: [],
            "getRecentPrioritizationFees": self.get_recent_prioritization_fees,
            "getSignatureStatuses": self.get_signature_statuses,
            "getSignaturesForAddress": self.get_signatures_for_address,
            "getSlot": lambda _: self.chain.slot,
            "getSlotLeader": lambda _: str(Pubkey.default()),
            "getTokenAccountBalance": self.get_token_account_balance,
            "getTokenAccountsByDelegate": self.get_token_accounts_by_delegate,
            "getTokenAccountsByOwner": self.get_token_accounts_by_owner,
            "getTokenLargestAccounts": self.get_token_largest_accounts,
            "getTokenSupply": self.get_token_supply,
            "getTransaction": self.get_transaction,
            "getTransactionCount": lambda _: self.chain.transaction_count,
            "getVersion": lambda _: {"solana-core": RELEASE, "feature-set": 0},
            "getVoteAccounts": lambda _: {"current": [], "delinquent": []},
            "isBlockhashValid": self.is_blockhash_valid,
            "minimumLedgerSlot": lambda _: self.chain.first_slot,
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
            blockhash = Hash.from_string(read_text(params, 0))
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
            "slotsInEpoch": SLOTS_PER_EPOCH,
            "transactionCount": self.chain.transaction_count,
        }

    def get_epoch_schedule(self, _: Params) -> Any:
        """As on the main network."""
        return {
            "slotsPerEpoch": SLOTS_PER_EPOCH,
            "leaderScheduleSlotOffset": SLOTS_PER_EPOCH,
            "warmup": False,
            "firstNormalEpoch": 0,
            "firstNormalSlot": 0,
        }

    def get_block_time(self, params: Params) -> Any:
        """Of a slot with a transaction in it; None for others."""
        slot = params[0] if params else None
        return next((record.time_s for record in self.chain.records.values() if record.slot == slot), None)

    def get_blocks(self, params: Params) -> Any:
        """Every slot has one."""
        first = read_number(params, 0, 2**63)
        has_end = len(params) > 1 and isinstance(params[1], int)
        last = min(read_number(params, 1, 2**63) if has_end else self.chain.slot, self.chain.slot)
        if last - first > BLOCKS_PER_QUERY_MAX:
            raise MethodError(INVALID_PARAMS, f"Slot range too large; max {BLOCKS_PER_QUERY_MAX}")
        return list(range(max(first, self.chain.first_slot), last + 1))

    def get_block(self, params: Params) -> Any:
        """With its one transaction, or with none."""
        slot = read_number(params, 0, 2**63)
        options = read_options(params, 1)
        height = slot - self.chain.first_slot
        if not 0 <= height <= self.chain.height:
            raise MethodError(BLOCK_NOT_AVAILABLE, f"Block not available for slot {slot}")
        records = [record for record in self.chain.records.values() if record.slot == slot]
        view: dict[str, Any] = {
            "blockHeight": height,
            "blockTime": records[0].time_s if records else None,
            "blockhash": str(self.chain.compute_blockhash(height)),
            "parentSlot": max(slot - 1, self.chain.first_slot),
            "previousBlockhash": str(self.chain.compute_blockhash(max(height - 1, 0))),
        }
        if options.rewards is not False:
            view["rewards"] = []
        if options.transaction_details == "signatures":
            view["signatures"] = [record.signature for record in records]
        elif options.transaction_details != "none":
            view["transactions"] = [_view_included(record, options) for record in records]
        return view

    def get_minimum_balance_for_rent_exemption(self, params: Params) -> Any:
        """In lamports, for so many bytes."""
        return self.chain.svm.minimum_balance_for_rent_exemption(read_number(params, 0, ACCOUNT_BYTES_MAX))

    def get_recent_prioritization_fees(self, params: Params) -> Any:
        """What was paid for a compute unit in the slots of the window, where one of the accounts was written."""
        wanted = (
            {str(read_address(params[0], index)) for index in range(len(read_list(params, 0, 128)))}
            if params
            else set()
        )
        oldest = self.chain.slot - BLOCKHASH_WINDOW
        fees = []
        for record in reversed(self.chain.records.values()):
            if record.slot < oldest:
                break
            if not wanted or not wanted.isdisjoint(views.list_writable(record)):
                fees.append({"slot": record.slot, "prioritizationFee": views.compute_priority_price(record)})
        return fees[::-1]

    # Accounts

    def get_account_info(self, params: Params) -> Any:
        """None for an account without lamports."""
        return self._wrap(view_account(self.chain, read_address(params, 0), read_options(params, 1)))

    def get_multiple_accounts(self, params: Params) -> Any:
        """In the order asked for."""
        texts = read_list(params, 0, ACCOUNTS_PER_QUERY_MAX)
        options = read_options(params, 1)
        addresses = [read_address(texts, index) for index in range(len(texts))]
        return self._wrap([view_account(self.chain, address, options) for address in addresses])

    def get_program_accounts(self, params: Params) -> Any:
        """All accounts of a program that meet the filters, by address."""
        options = read_options(params, 1)
        found = [
            (address, account)
            for address, account in self._list_owned(read_address(params, 0))
            if all(one.is_met(bytes(account.data)) for one in options.filters or ())
        ]
        listed = self._view_keyed(found, options)
        return self._wrap(listed) if options.with_context else listed

    def _list_owned(self, program: Pubkey) -> list[tuple[Pubkey, Account]]:
        owned = [pair for pair in self.chain.svm.get_program_accounts(program) if pair[1].lamports > 0]
        return sorted(owned, key=lambda pair: bytes(pair[0]))

    def _view_keyed(self, found: Iterable[tuple[Pubkey, Account]], options: Options) -> list[Any]:
        return [
            {"pubkey": str(address), "account": view_account(self.chain, address, options)}
            for address, _ in found
        ]

    # Tokens

    def get_token_account_balance(self, params: Params) -> Any:
        """Of one token account."""
        holding = read_holding(self.chain.get_account(read_address(params, 0)))
        if holding is None:
            raise MethodError(INVALID_PARAMS, "Invalid param: not a Token account")
        return self._wrap(views.view_amount(holding.amount, self._get_decimals(holding)))

    def get_token_supply(self, params: Params) -> Any:
        """Of one token."""
        mint = self._must_be_mint(read_address(params, 0))
        return self._wrap(views.view_amount(mint.supply, mint.decimals))

    def get_token_largest_accounts(self, params: Params) -> Any:
        """The twenty that hold most of a token."""
        address = read_address(params, 0)
        mint = self._must_be_mint(address)
        held = [pair for pair in self._list_holdings(mint.program) if pair[1].mint == address]
        held.sort(key=lambda pair: (-pair[1].amount, bytes(pair[0])))
        return self._wrap(
            [
                {"address": str(name), **views.view_amount(holding.amount, mint.decimals)}
                for name, holding in held[:LARGEST_MAX]
            ]
        )

    def get_token_accounts_by_owner(self, params: Params) -> Any:
        """Of one token or of one program."""
        return self._list_token_accounts(params, lambda holding: holding.owner)

    def get_token_accounts_by_delegate(self, params: Params) -> Any:
        """Whose owner lets this address spend from them."""
        return self._list_token_accounts(params, lambda holding: holding.delegate)

    def _list_token_accounts(self, params: Params, pick: Callable[[Holding], Pubkey | None]) -> Any:
        wanted = read_address(params, 0)
        which = read_token_filter(params, 1)
        options = read_options(params, 2)
        if which.mint is not None:
            mint_address = read_address([which.mint], 0)
            program = self._must_be_mint(mint_address).program
        else:
            mint_address = None
            program = read_address([which.program_id], 0)
            if program not in TOKEN_PROGRAMS:
                raise MethodError(INVALID_PARAMS, "Invalid param: unrecognized Token program id")
        addresses = [
            address
            for address, holding in self._list_holdings(program)
            if pick(holding) == wanted and mint_address in (None, holding.mint)
        ]
        return self._wrap(
            [
                {"pubkey": str(address), "account": view_account(self.chain, address, options)}
                for address in addresses
            ]
        )

    def _list_holdings(self, program: Pubkey) -> list[tuple[Pubkey, Holding]]:
        pairs = ((address, read_holding(account)) for address, account in self._list_owned(program))
        return [(address, holding) for address, holding in pairs if holding is not None]

    def _must_be_mint(self, address: Pubkey) -> Mint:
        mint = read_mint(self.chain.get_account(address))
        if mint is None:
            raise MethodError(INVALID_PARAMS, "Invalid param: could not find mint")
        return mint

    def _get_decimals(self, holding: Holding) -> int:
        mint = read_mint(self.chain.get_account(holding.mint))
        return 0 if mint is None else mint.decimals

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
        transaction = read_transaction(params, options.encoding or "base58")
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
        """What it would do."""
        options = read_options(params, 1)
        transaction = read_transaction(params, options.encoding or "base58")
        replaces = bool(options.replace_recent_blockhash)
        result: dict[str, Any] = {
            "err": None,
            "accounts": None,
            "returnData": None,
            "innerInstructions": None,
        }
        accounts: dict[Pubkey, Account] = {}
        try:
            outcome, accounts = self._simulate(transaction, bool(options.sig_verify), replaces)
            result.update(logs=outcome["logs"], unitsConsumed=outcome["compute_units_consumed"])
            result["returnData"] = views.view_returned(outcome)
            result["innerInstructions"] = views.view_inner(outcome)
            result["fee"] = outcome["fee"]
        except Refused as refused:
            result.update(err=refused.error, logs=refused.logs, unitsConsumed=refused.compute_units)
        if options.accounts is not None:
            result["accounts"] = self._view_simulated(options, accounts)
        if replaces:
            blockhash, last_height = self.chain.get_latest_blockhash()
            result["replacementBlockhash"] = {
                "blockhash": str(blockhash),
                "lastValidBlockHeight": last_height,
            }
        return self._wrap(result)

    def _view_simulated(self, options: Options, accounts: Mapping[Pubkey, Account]) -> list[Any]:
        """The accounts that were asked for, as the transaction would leave them."""
        assert options.accounts is not None, "asked for"
        wanted = options.accounts
        shown = Options(encoding=wanted.encoding or "base64")
        views_ = []
        for index in range(len(wanted.addresses)):
            address = read_address(wanted.addresses, index)
            account = accounts.get(address) or self.chain.get_account(address)
            views_.append(None if account is None else _view_data(self.chain, account, shown))
        return views_

    def _simulate(
        self, transaction: VersionedTransaction, verifies: bool, replaces: bool
    ) -> tuple[dict[str, Any], dict[Pubkey, Account]]:
        """Without signatures when the caller did not ask to have them checked."""
        svm = self.chain.svm
        svm.with_sigverify(verifies)
        try:
            return self.chain.simulate(transaction, checks_blockhash=not replaces)
        finally:
            svm.with_sigverify(True)

    def get_fee_for_message(self, params: Params) -> Any:
        """As the chain itself would charge; None when its blockhash has expired."""
        try:
            message = from_bytes_versioned(base64.b64decode(read_text(params, 0), validate=True))
            signatures = [Signature.default()] * message.header.num_required_signatures
            transaction = VersionedTransaction.populate(message, signatures)
            transaction.sanitize()
        except (ValueError, SanitizeError) as error:
            raise MethodError(INVALID_PARAMS, f"invalid message: {error}") from None
        if not self.chain.is_blockhash_valid(message.recent_blockhash):
            return self._wrap(None)
        try:
            outcome, _ = self._simulate(transaction, False, False)
        except Refused:
            return self._wrap(LAMPORTS_PER_SIGNATURE * message.header.num_required_signatures)
        return self._wrap(outcome["fee"])

    def get_signature_statuses(self, params: Params) -> Any:
        """None for the unknown."""
        signatures = read_list(params, 0, STATUSES_PER_QUERY_MAX)
        for index in range(len(signatures)):
            read_signature(signatures, index)
        return self._wrap([views.view_status(self.chain.records.get(name)) for name in signatures])

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
                "memo": views.describe_memos(record),
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
        return {
            "slot": record.slot,
            "blockTime": record.time_s,
            **_view_included(record, options),
        }


def _view_included(record: Record, options: Options) -> dict[str, Any]:
    is_v0 = isinstance(record.transaction.message, MessageV0)
    if is_v0 and options.max_supported_transaction_version is None:
        raise MethodError(
            VERSION_NOT_SUPPORTED,
            "Transaction version (0) is not supported by the requesting client. Please try the request "
            'again with the following configuration parameter: "maxSupportedTransactionVersion": 0',
        )
    return {
        "version": 0 if is_v0 else "legacy",
        "transaction": views.view_transaction(record, options.encoding or "json"),
        "meta": views.view_meta(record),
    }


def view_account(chain: SolanaChain, address: Pubkey, options: Options) -> dict[str, Any] | None:
    """As ``getAccountInfo`` gives it; None without lamports."""
    account = chain.get_account(address)
    return None if account is None else _view_data(chain, account, options)


def _view_data(chain: SolanaChain, account: Account, options: Options) -> dict[str, Any]:
    data = bytes(account.data)
    part = options.data_slice
    shown = data[part.offset : part.offset + part.length] if part else data
    encoding = options.encoding or "binary"
    parsed = _parse_data(chain, account) if encoding == "jsonParsed" else None
    if encoding in ("base58", "binary") and len(shown) > BASE58_BYTES_MAX:
        raise MethodError(
            -32600,
            "Encoded binary (base 58) data should be less than 128 bytes, please use Base64 encoding.",
        )
    content: Any
    if parsed is not None:
        content = {"program": views.PROGRAM_NAMES[account.owner], "parsed": parsed, "space": len(data)}
    elif encoding == "base58":
        content = [base58.encode(shown), "base58"]
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


def _parse_data(chain: SolanaChain, account: Account) -> dict[str, Any] | None:
    """Of token accounts and mints."""
    mint = read_mint(account)
    holding = None if mint is not None else read_holding(account)
    if mint is not None:
        view = views.view_mint(mint)
    elif holding is not None and (found := read_mint(chain.get_account(holding.mint))) is not None:
        view = views.view_holding(holding, found.decimals)
    else:
        return None
    extensions = view_extensions(bytes(account.data))
    if extensions:
        view["info"]["extensions"] = extensions
    return view


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
