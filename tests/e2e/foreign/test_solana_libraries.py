"""@solana/kit drives the Solana chain; @solana/web3.js with @solana/spl-token writes the bytes that we write."""

import asyncio
import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.message import MessageV0
from solders.pubkey import Pubkey

from hither.foreign.engines.solana import start_solana
from hither.foreign.solana_instructions import (
    DurableNonce,
    MessagePlan,
    TokenTransfer,
    build_message,
    make_token_transfer,
)
from hither.foreign.solana_messages import decode_message, make_payment
from hither.foreign.solana_tokens import TOKEN_2022_PROGRAM, TOKEN_PROGRAM
from tests.e2e.foreign.test_solana import HERE, SOL, get_javascript_libraries
from tests.unit.foreign.test_solana import ALICE_KEY, BLOCKHASH, BOB_KEY

pytestmark = pytest.mark.slow

ALICE, BOB, MINT, NONCE, TABLE = (
    Pubkey(one) for one in (ALICE_KEY, BOB_KEY, b"\x05" * 32, b"\x06" * 32, b"\x08" * 32)
)
PLAIN = MessagePlan(ALICE, [make_payment(ALICE, BOB, 1_500_000_000)], Hash(BLOCKHASH))
KIT_FINDS = {
    "alice": str(SOL - 5000),
    "bob": str(SOL),
    "told": str(SOL),
    "isLogged": True,
    "fee": "5000",
    "confirmation": "finalized",
    "hasSlot": True,
    "history": 2,
    "isValid": True,
    "owned": 0,
}
"""What `solana_kit.mjs` prints."""


def prepare(folder: Path, name: str) -> Path:
    """The script beside its libraries."""
    (folder / "node_modules").symlink_to(get_javascript_libraries() / "node_modules")
    return Path(shutil.copy(HERE / name, folder))


def make_plans() -> list[tuple[MessagePlan, dict[str, Any]]]:
    """Ours, and the same said to the script."""
    common = {"payer": str(ALICE), "receiver": str(BOB), "blockhash": str(PLAIN.blockhash)}
    payment = {**common, "amount": 1_500_000_000}
    plans: list[tuple[MessagePlan, dict[str, Any]]] = [(PLAIN, payment)]
    nonce = DurableNonce(NONCE, Hash(b"\x07" * 32))
    plans.append((replace(PLAIN, memo="für Käse ☕"), {**payment, "memo": "für Käse ☕"}))
    plans.append(
        (
            replace(PLAIN, unit_limit=450, unit_price=2_000),
            {**payment, "unit_limit": 450, "unit_price": 2_000},
        )
    )
    plans.append(
        (replace(PLAIN, nonce=nonce), {**payment, "nonce": str(NONCE), "blockhash": str(nonce.value)})
    )
    for program in (TOKEN_PROGRAM, TOKEN_2022_PROGRAM):
        moved = TokenTransfer(program, MINT, ALICE, BOB, 2**64 - 1, 9)
        token = {
            **common,
            "mint": str(MINT),
            "program": str(program),
            "amount": str(2**64 - 1),
            "decimals": 9,
        }
        plan = replace(PLAIN, instructions=make_token_transfer(moved))
        plans.append((plan, token))
        plans.append(
            (
                replace(plan, memo="rent", unit_limit=60_000, unit_price=1, nonce=nonce),
                {
                    **token,
                    "memo": "rent",
                    "unit_limit": 60_000,
                    "unit_price": 1,
                    "nonce": str(NONCE),
                    "blockhash": str(nonce.value),
                },
            )
        )
    legacy = [(replace(plan, is_legacy=True), {**said, "is_legacy": True}) for plan, said in plans]
    table = AddressLookupTableAccount(TABLE, [BOB])
    tables = [(replace(plan, tables=[table]), {**said, "table": str(TABLE)}) for plan, said in plans]
    return plans + legacy + tables


def test_messages_are_those_of_web3_js(tmp_path: Path) -> None:
    """Payments, tokens of both programs, memo, priority, nonce; legacy, v0 and with a lookup table.

    Keys of one kind stand in any order: web3.js writes them as they come, solders by their bytes. So messages are equal
    when they are resolved, and byte by byte where web3.js orders them so too.
    """
    plans = make_plans()
    script = prepare(tmp_path, "solana_messages.mjs")
    result = subprocess.run(
        ["node", str(script)],
        input=json.dumps([said for _, said in plans]),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    equal = 0
    for (plan, said), text in zip(plans, json.loads(result.stdout), strict=True):
        ours, theirs = build_message(plan), bytes.fromhex(text)
        assert len(ours) == len(theirs)
        assert resolve(ours) == resolve(theirs), said
        equal += ours == theirs
    assert equal >= 3


def resolve(body: bytes) -> tuple[Any, ...]:
    """Payer, blockhash, and each instruction with its accounts and what may be done with them."""
    message = decode_message(body)
    header, own = message.header, len(message.account_keys)
    signers = header.num_required_signatures
    keys = []
    for index, key in enumerate(message.account_keys):
        is_signer = index < signers
        last = (
            signers - header.num_readonly_signed_accounts
            if is_signer
            else own - header.num_readonly_unsigned_accounts
        )
        keys.append((key, is_signer, index < last))
    if isinstance(message, MessageV0):
        for lookup in message.address_table_lookups:
            keys += [(BOB, False, True) for _ in bytes(lookup.writable_indexes)]
            keys += [(BOB, False, False) for _ in bytes(lookup.readonly_indexes)]
    instructions = [
        (keys[one.program_id_index][0], [keys[index] for index in bytes(one.accounts)], bytes(one.data))
        for one in message.instructions
    ]
    return message.account_keys[0], message.recent_blockhash, instructions


def test_kit_sends_by_itself(tmp_path: Path) -> None:
    """Airdrop, send, confirmation by subscriptions for signatures and slots; accounts and logs are told."""
    script = prepare(tmp_path, "solana_kit.mjs")

    async def run() -> None:
        engine = await start_solana()
        socket = f"ws://127.0.0.1:{engine.port + 1}"
        program = await asyncio.create_subprocess_exec(
            "node",
            str(script),
            engine.url,
            socket,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            output, errors = await asyncio.wait_for(program.communicate(), 120)
        except TimeoutError:
            program.kill()
            raise
        finally:
            await engine.stop()
        assert program.returncode == 0, errors.decode()
        assert json.loads(output) == KIT_FINDS

    asyncio.run(run())
