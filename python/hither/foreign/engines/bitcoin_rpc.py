"""Bitcoin Core's JSON-RPC over the development node: the methods that wallets and this product use.

Names of methods and parameters, error codes and messages are Core's; those that begin with ``hither_`` are ours.
"""

import inspect
import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import msgspec
from btclib.script.solver import solver
from btclib.tx import Tx

from hither.foreign.bitcoin_addresses import REGTEST, parse_address
from hither.foreign.engines import UnknownSnapshot
from hither.foreign.engines import bitcoin_views as views
from hither.foreign.engines.bitcoin_descriptors import DescriptorError, read_descriptor
from hither.foreign.engines.bitcoin_faucet import FAUCET_SCRIPT
from hither.foreign.engines.bitcoin_kernel import BlockRefused
from hither.foreign.engines.bitcoin_ledger import Block, Ledger, Unspent
from hither.foreign.engines.bitcoin_node import BitcoinNode
from hither.foreign.engines.bitcoin_pool import RELAY_RATE, MissingInputs, Refused, parse_raw
from hither.foreign.engines.gate import Gate
from hither.foreign.errors import EngineError, InvalidAddress, MalformedTransaction, WrongNetwork

METHOD_NOT_FOUND: Final = -32601
INVALID_REQUEST: Final = -32600
PARSE_ERROR: Final = -32700
UNKNOWN_SNAPSHOT: Final = -1001

_MISC: Final = -1
_WRONG_TYPE: Final = -3
_BAD_ADDRESS_OR_KEY: Final = -5
_INVALID_PARAMETER: Final = -8
_UNDECODABLE: Final = -22
_VERIFY_ERROR: Final = -25
_REJECTED: Final = -26
_ALREADY_IN_CHAIN: Final = -27
_VERSION: Final = 290000
_BLOCKS_AT_ONCE_MAX: Final = 10_000
_FEE_RATE_MAX: Final = "0.10"
_ESTIMATED_RATE: Final = 1_000
_DECODE_FAILED: Final = "TX decode failed. Make sure the tx has at least one input."


class RpcError(Exception):
    """An error as Core answers it."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Methods:
    """Public functions whose names have no underscore in front are methods; their parameters have Core's names.

    With ``is_instant`` a block is made for each transaction that is sent.
    """

    def __init__(self, node: BitcoinNode, gate: Gate | None = None, *, is_instant: bool) -> None:
        self._node = node
        self._gate = gate or Gate()
        self._is_instant = is_instant
        self._started_s = time.monotonic()
        self._table: dict[str, Callable[..., Any]] = {
            name: getattr(self, name)
            for name in vars(Methods)
            if not name.startswith("_") and name != "answer"
        }

    @property
    def _ledger(self) -> Ledger:
        return self._node.ledger

    def answer(self, method: str, params: list[Any] | dict[str, Any]) -> Any:
        """The result. Raises ``RpcError``."""
        function = self._table.get(method)
        if function is None:
            raise RpcError(METHOD_NOT_FOUND, "Method not found")
        try:
            if isinstance(params, dict):
                bound = inspect.signature(function).bind(**params)
            else:
                bound = inspect.signature(function).bind(*params)
        except TypeError as error:
            raise RpcError(_MISC, f"{method}: {error}") from None
        return function(*bound.args, **bound.kwargs)

    # The chain

    def getblockchaininfo(self) -> views.Json:
        """Where the chain is."""
        tip = self._ledger.tip
        return {
            "chain": "regtest",
            "blocks": tip.height,
            "headers": tip.height,
            "bestblockhash": tip.block_hash.hex(),
            "bits": tip.header.bits.hex(),
            "target": tip.header.target.hex(),
            "difficulty": views.view_difficulty(tip.header.bits),
            "time": tip.time,
            "mediantime": self._ledger.compute_median_time(tip.height),
            "verificationprogress": 1,
            "initialblockdownload": False,
            "chainwork": f"{2 * (tip.height + 1):064x}",
            "size_on_disk": sum(len(block.raw) + 8 for block in self._ledger.blocks),
            "pruned": False,
            "warnings": [],
        }

    def getblockcount(self) -> int:
        """The height of the tip."""
        return self._ledger.height

    def getdifficulty(self) -> msgspec.Raw:
        """Of the tip, as a multiple of the least."""
        return views.view_difficulty(self._ledger.tip.header.bits)

    def getbestblockhash(self) -> str:
        """The tip's."""
        return self._ledger.tip.block_hash.hex()

    def getblockhash(self, height: int) -> str:
        """Of the active chain."""
        if not _is_integer(height):
            raise _make_type_error(1, "height", height, "number")
        if not 0 <= height <= self._ledger.height:
            raise RpcError(_INVALID_PARAMETER, "Block height out of range")
        return self._ledger.blocks[height].block_hash.hex()

    def getblockheader(self, blockhash: str, verbose: bool = True) -> Any:
        """As JSON or as bytes."""
        block = self._find_block(blockhash, "hash")
        return views.view_header(self._ledger, block) if verbose else block.raw[:80].hex()

    def getblock(self, blockhash: str, verbosity: int | bool = 1) -> Any:
        """0: bytes; 1: with the ids of transactions; 2: with transactions; 3: also with what they spent."""
        block = self._find_block(blockhash)
        if not int(verbosity):
            return block.raw.hex()
        return views.view_block(self._ledger, block, int(verbosity))

    def submitblock(self, hexdata: str, dummy: Any = None) -> str | None:
        """None when it is good, else why not."""
        raw = _read_hex(hexdata, "Block decode failed")
        try:
            return None if self._node.submit_block(raw) else "duplicate"
        except BlockRefused as error:
            if str(error) == "undecodable":
                raise RpcError(_UNDECODABLE, "Block decode failed") from None
            return str(error)

    def generatetoaddress(self, nblocks: int, address: str, maxtries: int = 0) -> list[str]:
        """Mine blocks; the address gets their coins."""
        if not _is_integer(nblocks) or not 0 <= nblocks <= _BLOCKS_AT_ONCE_MAX:
            raise RpcError(_INVALID_PARAMETER, f"from 0 to {_BLOCKS_AT_ONCE_MAX} blocks at once")
        return [one.hex() for one in self._node.generate(nblocks, _read_address(address))]

    def _find_block(self, blockhash: Any, name: str = "blockhash") -> Block:
        height = self._ledger.heights.get(_read_hash(blockhash, 1, name, "blockhash"))
        if height is None:
            raise RpcError(_BAD_ADDRESS_OR_KEY, "Block not found")
        return self._ledger.blocks[height]

    # Transactions

    def getrawtransaction(self, txid: str, verbosity: int | bool = 0, blockhash: str | None = None) -> Any:
        """0: bytes; 1: JSON; 2: with fee and what the inputs take."""
        key = _read_hash(txid, 1, "parameter 1", "txid")
        entry = self._node.pool.entries.get(key)
        included = self._ledger.transactions.get(key)
        if blockhash is not None and (
            included is None or included.height != self._find_block(blockhash).height
        ):
            raise RpcError(
                _BAD_ADDRESS_OR_KEY,
                "No such transaction found in the provided block. Use gettransaction for wallet transactions.",
            )
        found = entry or included
        if found is None:
            raise RpcError(
                _BAD_ADDRESS_OR_KEY,
                "No such mempool or blockchain transaction. Use gettransaction for wallet transactions.",
            )
        if not int(verbosity):
            return found.transaction.serialize(True, check_validity=False).hex()
        view = views.view_transaction(found.transaction, found.spent if int(verbosity) >= 2 else None)
        if blockhash is not None:
            view["in_active_chain"] = True
        if included is not None:
            block = self._ledger.blocks[included.height]
            view["blockhash"] = block.block_hash.hex()
            view["confirmations"] = self._ledger.height - block.height + 1
            view["time"] = view["blocktime"] = block.time
        return view

    def gettxout(self, txid: str, n: int, include_mempool: bool = True) -> views.Json | None:
        """An unspent output; with the pool, one that no waiting transaction spends."""
        point = (_read_hash(txid, 1, "txid"), n)
        output = self._ledger.unspent.get(point)
        if include_mempool:
            pool = self._node.pool
            output = None if pool.get_spender(point) is not None else pool.find_output(point)
        if output is None:
            return None
        return {
            "bestblock": self._ledger.tip.block_hash.hex(),
            "confirmations": 0 if output.height is None else self._ledger.height - output.height + 1,
            "value": views.format_amount(output.amount),
            "scriptPubKey": views.view_script(output.script),
            "coinbase": output.is_coinbase,
        }

    def decoderawtransaction(self, hexstring: str, iswitness: bool = True) -> views.Json:
        """What the bytes say."""
        message = "TX decode failed"
        view = views.view_transaction(self._parse(_read_hex(hexstring, message), message))
        del view["hex"]
        return view

    def sendrawtransaction(
        self, hexstring: str, maxfeerate: Any = _FEE_RATE_MAX, maxburnamount: Any = 0
    ) -> str:
        """Into the pool; with instant blocks, into the chain."""
        raw = _read_hex(hexstring, _DECODE_FAILED)
        transaction = self._parse(raw)
        transaction_id = transaction.id  # Each reading hashes the whole.
        if any((transaction_id, index) in self._ledger.unspent for index in range(len(transaction.vout))):
            raise RpcError(_ALREADY_IN_CHAIN, "Transaction outputs already in utxo set")
        burnt = sum(one.value for one in transaction.vout if one.script_pub_key.script[:1] == b"\x6a")
        if burnt > _read_bitcoins(maxburnamount):
            raise RpcError(
                _VERIFY_ERROR, "Unspendable output exceeds maximum configured by user (maxburnamount)"
            )
        if transaction_id not in self._node.pool.entries:
            try:
                entry = self._node.check_transaction(raw)
            except MissingInputs as error:
                raise RpcError(_VERIFY_ERROR, str(error)) from None
            except Refused as error:
                raise RpcError(_REJECTED, str(error)) from None
            if _is_too_dear(entry.fee, entry.size, maxfeerate):
                message = "Fee exceeds maximum configured by user (e.g. -maxtxfee, maxfeerate)"
                raise RpcError(_VERIFY_ERROR, message)
            self._node.add(entry)
        if self._is_instant:
            self._node.generate(1, FAUCET_SCRIPT)
        return str(transaction_id.hex())

    def testmempoolaccept(self, rawtxs: list[str], maxfeerate: Any = _FEE_RATE_MAX) -> list[views.Json]:
        """Each by itself: packages are not judged."""
        if not isinstance(rawtxs, list) or not 1 <= len(rawtxs) <= 25:
            raise RpcError(_INVALID_PARAMETER, "Array must contain between 1 and 25 transactions.")
        return [self._test_one(text, maxfeerate) for text in rawtxs]

    def _test_one(self, text: Any, maxfeerate: Any) -> views.Json:
        message = f"TX decode failed: {text} Make sure the tx has at least one input."
        transaction = self._parse(raw := _read_hex(text, message), message)
        view: views.Json = {"txid": transaction.id.hex(), "wtxid": transaction.hash.hex()}
        try:
            entry = self._node.check_transaction(raw)
        except Refused as error:
            if isinstance(error, MissingInputs):
                return {**view, "allowed": False, "reject-reason": "missing-inputs"}
            return {**view, "allowed": False, "reject-reason": error.reason, "reject-details": str(error)}
        if _is_too_dear(entry.fee, entry.size, maxfeerate):
            return {**view, "allowed": False, "reject-reason": "max-fee-exceeded"}
        fees = {
            "base": views.format_amount(entry.fee),
            "effective-feerate": views.format_amount(entry.fee * 1_000 // entry.size),
            "effective-includes": [view["wtxid"]],
        }
        return {**view, "allowed": True, "vsize": entry.size, "fees": fees}

    def _parse(self, raw: bytes, message: str = _DECODE_FAILED) -> Tx:
        try:
            return parse_raw(raw)
        except MalformedTransaction:
            raise RpcError(_UNDECODABLE, message) from None

    # The pool and fees

    def getrawmempool(self, verbose: bool = False, mempool_sequence: bool = False) -> Any:
        """Ids, or entries by id."""
        entries = self._node.pool.entries
        if not verbose:
            return [one.hex() for one in entries]
        return {one.hex(): views.view_entry(self._node.pool, entry) for one, entry in entries.items()}

    def getmempoolentry(self, txid: str) -> views.Json:
        """One that waits."""
        entry = self._node.pool.entries.get(_read_hash(txid, 1, "parameter 1", "txid"))
        if entry is None:
            raise RpcError(_BAD_ADDRESS_OR_KEY, "Transaction not in mempool")
        return views.view_entry(self._node.pool, entry)

    def getmempoolinfo(self) -> views.Json:
        """How much waits."""
        entries = self._node.pool.entries.values()
        return {
            "loaded": True,
            "size": len(entries),
            "bytes": sum(entry.size for entry in entries),
            "total_fee": views.format_amount(sum(entry.fee for entry in entries)),
            "mempoolminfee": views.format_amount(RELAY_RATE),
            "minrelaytxfee": views.format_amount(RELAY_RATE),
            "incrementalrelayfee": views.format_amount(RELAY_RATE),
            "fullrbf": True,
        }

    def estimatesmartfee(self, conf_target: int, estimate_mode: str = "economical") -> views.Json:
        """What nodes of every age relay: every block has room."""
        if not _is_integer(conf_target) or not 1 <= conf_target <= 1008:
            raise RpcError(_INVALID_PARAMETER, "Invalid conf_target, must be between 1 and 1008")
        return {"feerate": views.format_amount(_ESTIMATED_RATE), "blocks": max(conf_target, 2)}

    def getconnectioncount(self) -> int:
        """It has no peers."""
        return 0

    def getpeerinfo(self) -> list[views.Json]:
        """It has no peers."""
        return []

    def getindexinfo(self) -> views.Json:
        """Transactions are found by their ids, as with ``txindex``."""
        return {"txindex": {"synced": True, "best_block_height": self._ledger.height}}

    def uptime(self) -> int:
        """Seconds since the start."""
        return int(time.monotonic() - self._started_s)

    def help(self, command: str = "") -> str:
        """The methods, or one with its parameters."""
        if not command:
            return "\n".join(sorted(self._table))
        function = self._table.get(command)
        if function is None:
            return f"help: unknown command: {command}"
        names = " ".join(inspect.signature(function).parameters)
        return f"{command} {names}".rstrip() + f"\n\n{inspect.getdoc(function)}"

    def getnetworkinfo(self) -> views.Json:
        """For clients that ask for the version first."""
        return {
            "version": _VERSION,
            "subversion": "/hither:0.1.0/",
            "protocolversion": 70016,
            "localservices": "0" * 16,
            "localservicesnames": [],
            "localrelay": False,
            "timeoffset": 0,
            "connections": 0,
            "connections_in": 0,
            "connections_out": 0,
            "networkactive": False,
            "networks": [],
            "localaddresses": [],
            "relayfee": views.format_amount(RELAY_RATE),
            "incrementalfee": views.format_amount(RELAY_RATE),
            "warnings": [],
        }

    # Coins

    def scantxoutset(self, action: str, scanobjects: list[Any] | None = None) -> Any:
        """The confirmed outputs of descriptors: of addresses, scripts and plain keys."""
        if action == "status":
            return None
        if action == "abort":
            return False
        if action != "start" or not isinstance(scanobjects, list):
            raise RpcError(_INVALID_PARAMETER, f"Invalid action '{action}'")
        scripts = {script: told for one in scanobjects for script, told in _read_descriptor(one).items()}
        found = [one for script in scripts for one in self._ledger.list_unspent(script)]
        # Core's order: by id as it is stored, which is the other way round than it is written.
        found.sort(key=lambda one: (one[0][0][::-1], one[0][1]))
        return {
            "success": True,
            "txouts": len(self._ledger.unspent),
            "height": self._ledger.height,
            "bestblock": self._ledger.tip.block_hash.hex(),
            "unspents": [self._view_coin(*one, scripts[one[1].script]) for one in found],
            "total_amount": views.format_amount(sum(output.amount for _, output in found)),
        }

    def _view_coin(self, point: tuple[bytes, int], output: Unspent, descriptor: str) -> views.Json:
        assert output.height is not None, "the ledger's outputs are in blocks"
        return {
            "txid": point[0].hex(),
            "vout": point[1],
            "scriptPubKey": output.script.hex(),
            "desc": descriptor or views.describe_script(output.script),
            "amount": views.format_amount(output.amount),
            "coinbase": output.is_coinbase,
            "height": output.height,
            "blockhash": self._ledger.blocks[output.height].block_hash.hex(),
            "confirmations": self._ledger.height - output.height + 1,
        }

    def validateaddress(self, address: str) -> views.Json:
        """Whether it can be paid on this network."""
        try:
            script = parse_address(address, REGTEST)
        except InvalidAddress as error:
            return {"isvalid": False, "error_locations": [], "error": _describe_invalid(address, error)}
        kind = solver(script)[0]
        is_witness = kind.startswith("witness")
        view = {
            "isvalid": True,
            "address": address,
            "scriptPubKey": script.hex(),
            "isscript": kind in ("scripthash", "witness_v0_scripthash", "witness_v1_taproot"),
            "iswitness": is_witness,
        }
        if is_witness:
            view["witness_version"] = script[0] and script[0] - 0x50
            view["witness_program"] = script[2:].hex()
        return view

    def hither_fund(self, address: str, satoshis: int) -> str:
        """Development coins from the faucet, mined in; returns the transaction's id."""
        if not _is_integer(satoshis) or satoshis <= 0:
            raise RpcError(_INVALID_PARAMETER, "a whole number of satoshis is needed")
        try:
            return self._node.fund(_read_address(address), satoshis).hex()
        except (EngineError, Refused) as error:
            raise RpcError(_VERIFY_ERROR, str(error)) from None

    def hither_instant(self, is_instant: bool) -> None:
        """Whether each transaction that is sent gets a block at once, from now to the end of the process."""
        if not isinstance(is_instant, bool):
            raise RpcError(_INVALID_PARAMETER, "true or false is needed")
        self._is_instant = is_instant

    def hither_hold(self) -> None:
        """Take up nothing from now on but what comes by ``CONTROL_PATH``."""
        self._gate.hold()

    def hither_release(self) -> None:
        """Go on."""
        self._gate.release()

    def hither_snapshot(self, name: str) -> None:
        """Remember the present under a name."""
        self._node.snapshot(_read_name(name))

    def hither_revert(self, name: str) -> None:
        """Go back to a snapshot."""
        try:
            self._node.revert(_read_name(name))
        except UnknownSnapshot as error:
            raise RpcError(UNKNOWN_SNAPSHOT, str(error)) from None

    def hither_persist(self) -> None:
        """Answers when the folder holds the present."""
        self._node.persist()


def _read_name(name: Any) -> str:
    if not isinstance(name, str) or not name.isalnum():
        raise RpcError(_INVALID_PARAMETER, "a snapshot's name is letters and digits")
    return name


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _read_hex(text: Any, message: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except (TypeError, ValueError):
        raise RpcError(_UNDECODABLE, message) from None


def _make_type_error(position: int, name: str, value: Any, wanted: str) -> RpcError:
    """As Core words it, with the place of the parameter."""
    kinds = {str: "string", bool: "bool", int: "number", float: "number", list: "array", dict: "object"}
    kind = kinds.get(type(value), "null")
    detail = f"JSON value of type {kind} is not of expected type {wanted}"
    return RpcError(
        _WRONG_TYPE, f'Wrong type passed:\n{{\n    "Position {position} ({name})": "{detail}"\n}}'
    )


def _read_hash(text: Any, position: int, name: str, parameter: str | None = None) -> bytes:
    """``name`` is what Core calls it in messages, ``parameter`` its name where that differs."""
    if not isinstance(text, str):
        raise _make_type_error(position, parameter or name, text, "string")
    if len(text) != 64:
        message = f"{name} must be of length 64 (not {len(text)}, for '{text[:100]}')"
        raise RpcError(_INVALID_PARAMETER, message)
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise RpcError(_INVALID_PARAMETER, f"{name} must be hexadecimal string (not '{text}')") from None


def _read_address(text: Any) -> bytes:
    try:
        return parse_address(str(text), REGTEST)
    except InvalidAddress:
        raise RpcError(_BAD_ADDRESS_OR_KEY, "Error: Invalid address") from None


def _describe_invalid(address: str, error: InvalidAddress) -> str:
    """In Core's words for addresses in base58; for others in ours."""
    if address.lower().startswith(("bcrt1", "bc1", "tb1")):
        return str(error)
    if isinstance(error, WrongNetwork):
        return "Invalid or unsupported Base58-encoded address."
    return "Invalid checksum or length of Base58 address (P2PKH or P2SH)"


def _read_descriptor(one: Any) -> dict[bytes, str]:
    try:
        return read_descriptor(str(one.get("desc") if isinstance(one, dict) else one))
    except DescriptorError as error:
        raise RpcError(_BAD_ADDRESS_OR_KEY, str(error)) from None


def _read_bitcoins(amount: Any) -> int:
    """Satoshis; Core takes numbers and texts."""
    try:
        return int(Decimal(str(amount)) * 10**8)
    except ArithmeticError:
        raise RpcError(_WRONG_TYPE, "Invalid amount") from None


def _is_too_dear(fee: int, size: int, maxfeerate: Any) -> bool:
    rate_max = _read_bitcoins(maxfeerate)
    return rate_max != 0 and fee * 1_000 > rate_max * size
