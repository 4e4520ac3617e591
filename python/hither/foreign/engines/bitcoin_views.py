"""How transactions and blocks look as JSON: in Bitcoin Core's words and in Esplora's."""

from typing import Any, Final

import msgspec
from btclib.script.script import script_to_asm
from btclib.script.solver import solver
from btclib.tx import Tx

from hither.foreign.bitcoin_addresses import REGTEST, format_script
from hither.foreign.bitcoin_transactions import SEQUENCE_REPLACEABLE
from hither.foreign.engines.bitcoin_descriptors import add_checksum
from hither.foreign.engines.bitcoin_ledger import Block, Ledger, Point, Unspent, list_points
from hither.foreign.engines.bitcoin_pool import Entry, Pool

Json = dict[str, Any]

_ESPLORA_KINDS: Final = {
    "pubkey": "p2pk",
    "pubkeyhash": "p2pkh",
    "scripthash": "p2sh",
    "witness_v0_keyhash": "v0_p2wpkh",
    "witness_v0_scripthash": "v0_p2wsh",
    "witness_v1_taproot": "v1_p2tr",
    "nulldata": "op_return",
    "multisig": "multisig",
}


def format_amount(satoshis: int) -> msgspec.Raw:
    """A number of bitcoins with eight decimals, as Core writes it."""
    whole, rest = divmod(satoshis, 10**8)
    return msgspec.Raw(f"{whole}.{rest:08d}".encode())


def view_script(script: bytes) -> Json:
    """An output's script in Core's words."""
    view: Json = {"asm": script_to_asm(script), "desc": describe_script(script), "hex": script.hex()}
    address = format_script(script, REGTEST)
    if address is not None:
        view["address"] = address
    view["type"] = solver(script)[0]
    return view


def describe_script(script: bytes) -> str:
    """As a descriptor with its checksum (BIP-380): the key of a taproot output, an address, else the bytes."""
    kind, parts = solver(script)
    address = format_script(script, REGTEST)
    if kind == "witness_v1_taproot":
        text = f"rawtr({parts[0].hex()})"
    elif kind == "pubkey":
        text = f"pk({parts[0].hex()})"
    else:
        text = f"raw({script.hex()})" if address is None else f"addr({address})"
    return add_checksum(text)


# Bitcoin Core


def view_transaction(transaction: Tx, spent: tuple[Unspent, ...] | None = None) -> Json:
    """With ``spent`` also fee and what each input takes."""
    view: Json = {
        "txid": transaction.id.hex(),
        "hash": transaction.hash.hex(),
        "version": transaction.version,
        "size": transaction.size,
        "vsize": transaction.vsize,
        "weight": transaction.weight,
        "locktime": transaction.lock_time,
        "vin": [_view_input(transaction, index, spent) for index in range(len(transaction.vin))],
        "vout": [
            {
                "value": format_amount(output.value),
                "n": index,
                "scriptPubKey": view_script(output.script_pub_key.script),
            }
            for index, output in enumerate(transaction.vout)
        ],
    }
    if spent:
        paid = sum(output.value for output in transaction.vout)
        view["fee"] = format_amount(sum(one.amount for one in spent) - paid)
    view["hex"] = transaction.serialize(True, check_validity=False).hex()
    return view


def _view_input(transaction: Tx, index: int, spent: tuple[Unspent, ...] | None) -> Json:
    entry = transaction.vin[index]
    view: Json = {}
    if entry.prev_out.is_coinbase:
        view["coinbase"] = entry.script_sig.hex()
    else:
        view["txid"] = entry.prev_out.tx_id.hex()
        view["vout"] = entry.prev_out.vout
        asm = script_to_asm(entry.script_sig, attempt_sighash_decode=True)
        view["scriptSig"] = {"asm": asm, "hex": entry.script_sig.hex()}
    if entry.script_witness.stack:
        view["txinwitness"] = [item.hex() for item in entry.script_witness.stack]
    if spent:
        one = spent[index]
        view["prevout"] = {
            "generated": one.is_coinbase,
            "height": one.height,
            "value": format_amount(one.amount),
            "scriptPubKey": view_script(one.script),
        }
    view["sequence"] = entry.sequence
    return view


def view_header(ledger: Ledger, block: Block) -> Json:
    """A block of the active chain without its transactions."""
    header = block.header
    view: Json = {
        "hash": block.block_hash.hex(),
        "confirmations": ledger.height - block.height + 1,
        "height": block.height,
        "version": header.version,
        "versionHex": f"{header.version & 0xFFFFFFFF:08x}",
        "merkleroot": header.merkle_root.hex(),
        "time": block.time,
        "mediantime": ledger.compute_median_time(block.height),
        "nonce": header.nonce,
        "bits": header.bits.hex(),
        "target": header.target.hex(),
        "difficulty": view_difficulty(header.bits),
        "chainwork": f"{2 * (block.height + 1):064x}",
        "nTx": len(block.transaction_ids),
    }
    if block.height > 0:
        view["previousblockhash"] = header.previous_block_hash.hex()
    if block.height < ledger.height:
        view["nextblockhash"] = ledger.blocks[block.height + 1].block_hash.hex()
    return view


def view_block(ledger: Ledger, block: Block, verbosity: int) -> Json:
    """1: with the ids of its transactions; 2: with them whole; 3: also with what they spent."""
    transactions = [ledger.transactions[one] for one in block.transaction_ids]
    listed: list[Any] = [one.hex() for one in block.transaction_ids]
    if verbosity >= 2:
        listed = [view_transaction(one.transaction, one.spent) for one in transactions]
    if verbosity == 2:
        for view in listed:
            for entry in view["vin"]:
                entry.pop("prevout", None)
    size = len(block.raw)
    witness = sum(
        one.transaction.size - len(one.transaction.serialize(False, check_validity=False))
        for one in transactions
    )
    return {
        **view_header(ledger, block),
        "strippedsize": size - witness,
        "size": size,
        "weight": 4 * size - 3 * witness,
        "tx": listed,
    }


def view_entry(pool: Pool, entry: Entry) -> Json:
    """A waiting transaction, with those that it needs and those that need it."""
    ancestors = [entry, *(pool.entries[one] for one in pool.list_ancestors(entry.transaction))]
    descendants = [pool.entries[one] for one in pool.list_descendants(entry.transaction_id)]
    parents = dict.fromkeys(parent for parent, _ in list_points(entry.transaction) if parent in pool.entries)
    children = [
        one
        for one in descendants
        if any(parent == entry.transaction_id for parent, _ in list_points(one.transaction))
    ]
    return {
        "vsize": entry.size,
        "weight": entry.transaction.weight,
        "time": entry.time,
        "height": pool.height,
        "descendantcount": len(descendants),
        "descendantsize": sum(one.size for one in descendants),
        "ancestorcount": len(ancestors),
        "ancestorsize": sum(one.size for one in ancestors),
        "wtxid": entry.transaction.hash.hex(),
        "fees": {
            "base": format_amount(entry.fee),
            "modified": format_amount(entry.fee),
            "ancestor": format_amount(sum(one.fee for one in ancestors)),
            "descendant": format_amount(sum(one.fee for one in descendants)),
        },
        "depends": [one.hex() for one in parents],
        "spentby": [one.transaction_id.hex() for one in children],
        "bip125-replaceable": is_replaceable(ancestors),
        "unbroadcast": True,
    }


def is_replaceable(family: list[Entry]) -> bool:
    """Whether a transaction or one that it needs says so (BIP-125); nodes replace the others as well."""
    return any(point.sequence <= SEQUENCE_REPLACEABLE for one in family for point in one.transaction.vin)


def view_difficulty(bits: bytes) -> msgspec.Raw:
    """How much harder than the least target, computed in Core's order and written with its digits."""
    shift, mantissa = bits[0], int.from_bytes(bits[1:], "big")
    difficulty = 0xFFFF / mantissa
    for _ in range(shift, 29):
        difficulty *= 256
    for _ in range(29, shift):
        difficulty /= 256
    return msgspec.Raw(f"{difficulty:.16g}".encode())


# Esplora


def esplora_transaction(transaction: Tx, spent: tuple[Unspent, ...], block: Block | None) -> Json:
    """``block`` is the one that it is in."""
    inputs = []
    for index, entry in enumerate(transaction.vin):
        view: Json = {
            "txid": entry.prev_out.tx_id.hex(),
            "vout": entry.prev_out.vout,
            "prevout": esplora_output(spent[index].script, spent[index].amount) if spent else None,
            "scriptsig": entry.script_sig.hex(),
            "scriptsig_asm": script_to_asm(entry.script_sig),
            "is_coinbase": entry.prev_out.is_coinbase,
            "sequence": entry.sequence,
        }
        if entry.script_witness.stack:
            view["witness"] = [item.hex() for item in entry.script_witness.stack]
        inputs.append(view)
    paid = sum(output.value for output in transaction.vout)
    return {
        "txid": transaction.id.hex(),
        "version": transaction.version,
        "locktime": transaction.lock_time,
        "vin": inputs,
        "vout": [esplora_output(output.script_pub_key.script, output.value) for output in transaction.vout],
        "size": transaction.size,
        "weight": transaction.weight,
        "fee": sum(one.amount for one in spent) - paid if spent else 0,
        "status": esplora_status(block),
    }


def esplora_output(script: bytes, amount: int) -> Json:
    """An output."""
    view: Json = {
        "scriptpubkey": script.hex(),
        "scriptpubkey_asm": script_to_asm(script),
        "scriptpubkey_type": _ESPLORA_KINDS.get(solver(script)[0], "unknown"),
        "value": amount,
    }
    address = format_script(script, REGTEST)
    if address is not None:
        view["scriptpubkey_address"] = address
    return view


def esplora_status(block: Block | None) -> Json:
    """Where a transaction is."""
    if block is None:
        return {"confirmed": False}
    return {
        "confirmed": True,
        "block_height": block.height,
        "block_hash": block.block_hash.hex(),
        "block_time": block.time,
    }


def esplora_block(ledger: Ledger, block: Block) -> Json:
    """A block without its transactions."""
    view = view_block(ledger, block, 1)
    return {
        "id": view["hash"],
        "height": block.height,
        "version": view["version"],
        "timestamp": block.time,
        "tx_count": view["nTx"],
        "size": view["size"],
        "weight": view["weight"],
        "merkle_root": view["merkleroot"],
        "previousblockhash": view.get("previousblockhash"),
        "mediantime": view["mediantime"],
        "nonce": view["nonce"],
        "bits": int(view["bits"], 16),
        "difficulty": view["difficulty"],
    }


def esplora_statistics(script: bytes, transactions: list[tuple[Tx, tuple[Unspent, ...]]]) -> Json:
    """Sums over the transactions of one script."""
    funded = [
        output.value
        for transaction, _ in transactions
        for output in transaction.vout
        if output.script_pub_key.script == script
    ]
    spent = [one.amount for _, taken in transactions for one in taken if one.script == script]
    return {
        "funded_txo_count": len(funded),
        "funded_txo_sum": sum(funded),
        "spent_txo_count": len(spent),
        "spent_txo_sum": sum(spent),
        "tx_count": len(transactions),
    }


def esplora_coin(point: Point, amount: int, block: Block | None) -> Json:
    """An unspent output of an address."""
    return {"txid": point[0].hex(), "vout": point[1], "status": esplora_status(block), "value": amount}
