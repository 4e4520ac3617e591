"""The peer of token transfers: OpenZeppelin's ERC-20 on anvil, the same transfers between as many holders."""

import random
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from hither.cli.bench.evm import (
    CHAIN_ID,
    GAS_PRICE_WEI,
    WAYS,
    EvmSender,
    list_receivers,
    make_senders,
    measure_raw,
    mine_all,
    run_anvil,
    sign_transaction,
)
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.world import SEED
from hither.cli.rpc import RpcCaller
from hither.foreign.errors import EngineError
from hither.foreign.evm_abi import decode_result, encode, encode_call, parse_type
from hither.foreign.evm_addresses import format_address
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_transactions import LegacyTransaction

HOLDING = 10**6
TRANSFER_GAS = 100_000
DEPLOYMENT_GAS = 3_000_000
PREPARATION_S_MAX = 300.0


@dataclass(frozen=True, slots=True)
class TokenTransfer:
    """One unit, as it was signed."""

    raw: bytes
    sender: bytes
    receiver: bytes


def measure_anvil_tokens(options: BenchOptions, count: int) -> Figures:
    """So many transfers without mining, each of ``WAYS`` on a chain of its own."""
    figures: Figures = {}
    senders = make_senders(options.senders)
    holders = [*(sender.address for sender in senders), *list_receivers(options.accounts - options.senders)]
    for name, batch, connections in WAYS:
        with (
            tempfile.TemporaryDirectory() as folder,
            run_anvil(Path(folder), holders[: len(senders)]) as caller,
        ):
            token = _deploy(caller, senders[0])
            _distribute(caller, token, senders[0], holders, Path(folder))
            transfers = list(_sign_transfers(senders, holders, token, count))
            raws = [transfer.raw for transfer in transfers]
            mined, seconds = measure_raw(
                caller, raws, Path(folder), options.seconds, batch=batch, connections=connections
            )
            _check_balances(caller, token, holders, transfers[:mined])
            figures |= {
                "peer": caller.call("web3_clientVersion", []),
                f"{name}_tps": round(mined / seconds),
                f"{name}_transfers": mined,
            }
    return figures


def _deploy(caller: RpcCaller, owner: EvmSender) -> bytes:
    """The token, all of which the owner has; its address."""
    try:
        artefact = read_artefact("openzeppelin", "ERC20PresetFixedSupply")
    except EngineError as error:
        raise BenchmarkFailed(f"{error}; {error.hint}") from error
    arguments = ("Benchmark", "B", 10**30, format_address(owner.address))
    code = artefact.link() + encode(parse_type("(string,string,uint256,address)"), arguments)
    transaction = LegacyTransaction(CHAIN_ID, 0, GAS_PRICE_WEI, DEPLOYMENT_GAS, b"", 0, code)
    sent = caller.call("eth_sendRawTransaction", ["0x" + sign_transaction(owner, transaction).hex()])
    mine_all(caller, 0, 1)
    receipt = caller.call("eth_getTransactionReceipt", [sent])
    if receipt is None or receipt["status"] != "0x1":
        raise BenchmarkFailed(f"the token was not deployed: {receipt}")
    return bytes.fromhex(receipt["contractAddress"][2:])


def _sign(sender: EvmSender, nonce: int, token: bytes, receiver: bytes, amount: int) -> bytes:
    data = encode_call("transfer(address,uint256)", (format_address(receiver), amount))
    return sign_transaction(
        sender, LegacyTransaction(CHAIN_ID, nonce, GAS_PRICE_WEI, TRANSFER_GAS, token, 0, data)
    )


def _distribute(
    caller: RpcCaller, token: bytes, owner: EvmSender, holders: Sequence[bytes], folder: Path
) -> None:
    """Give every other holder the same."""
    raws = [_sign(owner, nonce, token, holder, HOLDING) for nonce, holder in enumerate(holders[1:], start=1)]
    measure_raw(caller, raws, folder, PREPARATION_S_MAX)


def _sign_transfers(
    senders: Sequence[EvmSender], holders: Sequence[bytes], token: bytes, count: int
) -> Iterator[TokenTransfer]:
    choose = random.Random(SEED)
    nonces = [len(holders), *([0] * (len(senders) - 1))]
    for number in range(count):
        at = number % len(senders)
        sender = senders[at]
        receiver = sender.address
        while receiver == sender.address:
            receiver = choose.choice(holders)
        raw = _sign(sender, nonces[at], token, receiver, 1)
        nonces[at] += 1
        yield TokenTransfer(raw, sender.address, receiver)


def _check_balances(
    caller: RpcCaller, token: bytes, holders: Sequence[bytes], transfers: Sequence[TokenTransfer]
) -> None:
    """Every holder but the owner, who has the rest, has what the model says."""
    changes: Counter[bytes] = Counter()
    for transfer in transfers:
        changes[transfer.sender] -= 1
        changes[transfer.receiver] += 1
    for holder in holders[1:]:
        data = encode_call("balanceOf(address)", (format_address(holder),))
        call = {"to": format_address(token), "data": "0x" + data.hex()}
        answer = bytes.fromhex(caller.call("eth_call", [call, "latest"])[2:])
        found = decode_result("balanceOf(address)(uint256)", answer)
        if found != HOLDING + changes[holder]:
            raise BenchmarkFailed(
                f"{holder.hex()} has {found} tokens on anvil, the model says {HOLDING + changes[holder]}"
            )
