"""``hither bench tokens``: token transfers (NEP-141) a second, by a contract, on disk, beside ERC-20 on anvil."""

import base64
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import hither
from hither.chain.parameters import make_parameters
from hither.chain.rows import TABLES
from hither.chain.storage import ChainStorage
from hither.cli.bench.evm_tokens import measure_anvil_tokens
from hither.cli.bench.options import BenchmarkFailed, BenchOptions, Figures
from hither.cli.bench.programs import run_node
from hither.cli.bench.stages import Stages
from hither.cli.bench.transfers import get_genesis_hash, submit
from hither.cli.bench.world import (
    SEED,
    Keyring,
    Payment,
    make_home,
    make_keyrings,
    name_account,
    sign_actions,
)
from hither.cli.rpc import RpcCaller
from hither.node.home import Home, lock_home
from hither.primitives.action import Action, DeployContract, FunctionCall
from hither.primitives.outcome import Outcome, SuccessValue
from hither.primitives.types import AccountId, Balance, CryptoHash, Gas
from hither.state import Store

TERAGAS = 10**12
MINTS_A_TRANSACTION = 25
HOLDING = 10**6
"""What each holder begins with."""

TPS_MAX = 6_000
PREPARATION_S_MAX = 600.0


def measure(options: BenchOptions) -> Figures:
    """Every account holds tokens; transfers are one call each, of one unit to another holder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        home = make_home(path / "home", options)
        block_hash = get_genesis_hash(home)
        rings = make_keyrings(options.senders)
        owner = rings[0]
        with lock_home(home.path):
            preparation = list(_prepare(owner, options.accounts, block_hash))
            submit(home, preparation, PREPARATION_S_MAX)
            transfers = _sign_transfers(options, rings, block_hash, first_nonce=len(preparation) + 1)
            cpu_before_s = time.process_time()
            with Stages() as stages:
                sent, seconds = submit(home, transfers, options.seconds)
            cpu_s = time.process_time() - cpu_before_s
        done = transfers[:sent]
        _check_events(home, done)
        with run_node(home.path, path) as (_, caller):
            _check_balances(caller, owner.account_id, options.accounts, done)
    figures: Figures = {
        "durable_tps": round(sent / seconds),
        "durable_transfers": sent,
        "durable_seconds": round(seconds, 2),
        "durable_cpu_us": round(cpu_s * 1e6 / sent),
        "us_per_stage": stages.list_us(sent),
        "holders": options.accounts,
        "senders": options.senders,
        "protocol_version": options.protocol_version,
    }
    if options.has_peer:
        figures |= measure_anvil_tokens(options, sent)
        for name in ("", "_single", "_sequential"):
            figures[f"ratio{name}"] = round(sent / seconds / figures[f"peer{name}_tps"], 2)
    return figures


def _read_contract() -> bytes:
    path = Path(hither.__file__).resolve().parents[2] / "contracts/fungible_token/fungible_token.wasm"
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BenchmarkFailed(f"{path} is missing: this benchmark runs from a checkout") from None


def _make_call(method: str, arguments: dict[str, Any], teragas: int, deposit: int) -> FunctionCall:
    return FunctionCall(method, json.dumps(arguments).encode(), Gas(teragas * TERAGAS), Balance(deposit))


def _prepare(owner: Keyring, accounts: int, block_hash: CryptoHash) -> Iterator[Payment]:
    """Deploy the token on the owner's account and give some to everybody."""
    begin = {"owner_id": owner.account_id, "total_supply": str(HOLDING)}
    steps: list[tuple[Action, ...]] = [
        (DeployContract(_read_contract()), _make_call("new_default", begin, 50, 0)),
    ]
    names = [name_account(index) for index in range(1, accounts)]
    steps += [
        tuple(
            _make_call("mint", {"receiver_id": name, "amount": str(HOLDING)}, 10, 1)
            for name in names[at : at + MINTS_A_TRANSACTION]
        )
        for at in range(0, len(names), MINTS_A_TRANSACTION)
    ]
    for nonce, actions in enumerate(steps, start=1):
        raw, hash_ = sign_actions(owner, owner.account_id, nonce, block_hash, actions)
        yield Payment(raw, hash_, owner.account_id, owner.account_id, 0, nonce)


def _sign_transfers(
    options: BenchOptions, rings: Sequence[Keyring], block_hash: CryptoHash, *, first_nonce: int
) -> list[Payment]:
    choose = random.Random(SEED)
    token = rings[0].account_id
    payments: list[Payment] = []
    for turn in range(int(TPS_MAX * options.seconds) // len(rings) + 1):
        for ring in rings:
            receiver_id = ring.account_id
            while receiver_id == ring.account_id:
                receiver_id = name_account(choose.randrange(options.accounts))
            call = _make_call("ft_transfer", {"receiver_id": receiver_id, "amount": "1"}, 10, 1)
            nonce = first_nonce + turn
            raw, hash_ = sign_actions(ring, token, nonce, block_hash, (call,))
            payments.append(Payment(raw, hash_, ring.account_id, receiver_id, 1, nonce))
    return payments


def _check_events(home: Home, payments: Sequence[Payment]) -> None:
    """Each transfer has one receipt that succeeded and logged the standard's event."""
    store = Store(str(home.data_path), tables=TABLES, read_only=True)
    try:
        storage = ChainStorage(store, make_parameters(home.genesis))
        for payment in payments:
            outcome = _find_outcome(storage, payment.hash)
            if outcome is not None and outcome.receipt_ids:
                outcome = _find_outcome(storage, outcome.receipt_ids[0])
            if outcome is None or not isinstance(outcome.status, SuccessValue):
                raise BenchmarkFailed(f"a token transfer of {payment.signer_id} failed: {outcome}")
            if not any('"event":"ft_transfer"' in log and payment.receiver_id in log for log in outcome.logs):
                raise BenchmarkFailed(f"a token transfer of {payment.signer_id} has no event")
    finally:
        store.close()


def _find_outcome(storage: ChainStorage, id_: CryptoHash) -> Outcome | None:
    place = storage.get_place(id_)
    return None if place is None else storage.get_outcome(place)


def _check_balances(caller: RpcCaller, token: AccountId, accounts: int, payments: Sequence[Payment]) -> None:
    """Every holder has what the model says, asked of a node that was started anew."""
    changes: Counter[str] = Counter()
    for payment in payments:
        changes[payment.signer_id] -= payment.amount
        changes[payment.receiver_id] += payment.amount
    for account_id in map(name_account, range(accounts)):
        arguments = base64.b64encode(json.dumps({"account_id": account_id}).encode()).decode()
        query = {
            "request_type": "call_function",
            "finality": "optimistic",
            "account_id": token,
            "method_name": "ft_balance_of",
            "args_base64": arguments,
        }
        found = json.loads(bytes(caller.call("query", query)["result"]))
        if int(found) != HOLDING + changes[account_id]:
            raise BenchmarkFailed(
                f"{account_id} has {found} tokens, the model says {HOLDING + changes[account_id]}"
            )
