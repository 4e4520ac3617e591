"""Tokens, memos, priority fees, nonces and lookup tables on Solana, sent by our adapter, read by solana-py."""

import asyncio
from dataclasses import replace
from hashlib import sha256

import pytest
from solana.rpc.models import TokenAccountOpts
from solders.instruction import Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.signature import Signature
from solders.system_program import (
    CreateAccountParams,
    CreateLookupTableParams,
    ExtendLookupTableParams,
    create_account,
    create_lookup_table,
    extend_lookup_table,
)
from solders.transaction import VersionedTransaction
from spl.token import instructions as token
from spl.token.constants import TOKEN_2022_PROGRAM_ID, TOKEN_PROGRAM_ID
from spl.token.models import ApproveParams, InitializeMint2Params, MintToParams

from hither.foreign.adapter import SignedTransaction, State, UnsignedTransaction, track
from hither.foreign.errors import (
    BroadcastRefused,
    EndpointError,
    InsufficientFunds,
    InvalidAmount,
    InvalidInput,
    TransactionDropped,
)
from hither.foreign.solana import Wishes
from hither.foreign.solana_instructions import derive_nonce_account
from hither.foreign.solana_messages import decode_message
from tests.e2e.foreign.test_solana import SOL, Network, run_network

PROGRAMS = {"spl": TOKEN_PROGRAM_ID, "2022": TOKEN_2022_PROGRAM_ID}
MINT_BYTES = 82
ISSUER, MINT = (Keypair.from_seed(sha256(name).digest()) for name in (b"issuer", b"mint"))
NOBODY = Pubkey(b"\x09" * 32)


async def issue(network: Network, program: Pubkey, amount: int, mint: Keypair = MINT) -> str:
    """A token with six decimals, and so much of it for alice; returns its address."""
    await network.engine.fund(str(ISSUER.pubkey()), SOL)
    rent = (await network.client.get_minimum_balance_for_rent_exemption(MINT_BYTES)).value
    alice = Pubkey.from_string(network.alice)
    account = token.get_associated_token_address(alice, mint.pubkey(), program)
    instructions = [
        create_account(
            CreateAccountParams(
                from_pubkey=ISSUER.pubkey(),
                to_pubkey=mint.pubkey(),
                lamports=rent,
                space=MINT_BYTES,
                owner=program,
            )
        ),
        token.initialize_mint2(
            InitializeMint2Params(
                program_id=program, mint=mint.pubkey(), decimals=6, mint_authority=ISSUER.pubkey()
            )
        ),
        token.create_idempotent_associated_token_account(ISSUER.pubkey(), alice, mint.pubkey(), program),
        token.mint_to(
            MintToParams(
                program_id=program,
                mint=mint.pubkey(),
                dest=account,
                mint_authority=ISSUER.pubkey(),
                amount=amount,
            )
        ),
    ]
    await send(network, instructions, ISSUER, mint)
    return str(mint.pubkey())


async def make_table(network: Network) -> Pubkey:
    """A lookup table with bob's address; it counts from the next slot on."""
    await network.engine.fund(str(ISSUER.pubkey()), SOL)
    slot = (await network.client.get_slot()).value
    made, table = create_lookup_table(
        CreateLookupTableParams(
            authority_address=ISSUER.pubkey(), payer_address=ISSUER.pubkey(), recent_slot=slot
        )
    )
    extended = extend_lookup_table(
        ExtendLookupTableParams(
            lookup_table_address=table,
            authority_address=ISSUER.pubkey(),
            payer_address=ISSUER.pubkey(),
            new_addresses=[Pubkey.from_string(network.bob)],
        )
    )
    await send(network, [made, extended], ISSUER)
    return table


async def send(network: Network, instructions: list[Instruction], *signers: Keypair) -> Signature:
    """By solana-py, the first one pays."""
    latest = (await network.client.get_latest_blockhash()).value
    message = Message.new_with_blockhash(instructions, signers[0].pubkey(), latest.blockhash)
    return (await network.client.send_transaction(VersionedTransaction(message, list(signers)))).value


async def finish(network: Network, unsigned: UnsignedTransaction) -> SignedTransaction:
    """Sign, send, wait."""
    signed = network.sign(unsigned)
    await network.adapter.broadcast(signed)
    await track(network.adapter, signed, timeout_seconds=60)
    return signed


@pytest.mark.parametrize("is_legacy", [False, True], ids=["v0", "legacy"])
@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_tokens_arrive(program: Pubkey, is_legacy: bool) -> None:
    """The receiver's account is made once; balances, supply, owners and the transaction agree with solana-py's."""

    async def run() -> None:
        async with run_network() as network:
            mint = await issue(network, program, 10_000_000)
            build, bob = network.adapter.build_token_transfer, Pubkey.from_string(network.bob)
            wishes = Wishes(memo="rent for May", is_legacy=is_legacy, unit_limit=60_000, unit_price=1_000)
            assert await network.adapter.fetch_token_balance(network.bob, mint) == 0
            before = await network.read_balance(network.alice)
            first = await finish(
                network, await build(network.alice_key, mint, network.bob, 1_500_000, wishes=wishes)
            )
            await finish(network, await build(network.alice_key, mint, network.bob, 1))
            assert await network.adapter.fetch_token_balance(network.bob, mint) == 1_500_001
            account = token.get_associated_token_address(bob, MINT.pubkey(), program)
            found = (await network.client.get_token_account_balance(account)).value
            assert (found.amount, found.decimals, found.ui_amount_string) == ("1500001", 6, "1.500001")
            assert (await network.client.get_token_supply(MINT.pubkey())).value.amount == "10000000"
            largest = (await network.client.get_token_largest_accounts(MINT.pubkey())).value
            assert [one.amount.amount for one in largest] == ["8499999", "1500001"]
            owned = (
                await network.client.get_token_accounts_by_owner(bob, TokenAccountOpts(mint=MINT.pubkey()))
            ).value
            assert [one.pubkey for one in owned] == [account]
            parsed = (
                await network.client.get_token_accounts_by_owner_json_parsed(
                    bob, TokenAccountOpts(program_id=program)
                )
            ).value
            assert parsed[0].account.data.parsed["info"]["tokenAmount"]["amount"] == "1500001"
            signature = Signature.from_string(first.transaction_id)
            read = (
                await network.client.get_transaction(signature, max_supported_transaction_version=0)
            ).value
            assert read is not None
            meta = read.transaction.meta
            assert meta is not None
            assert meta.fee == 5000 + 60
            assert meta.pre_token_balances is not None
            assert meta.post_token_balances is not None
            assert sorted(one.ui_token_amount.amount for one in meta.post_token_balances) == [
                "1500000",
                "8500000",
            ]
            assert [one.ui_token_amount.amount for one in meta.pre_token_balances] == ["10000000"]
            assert meta.inner_instructions, "making the account calls other programs"
            history = (await network.client.get_signatures_for_address(bob)).value
            assert history[1].memo == "[12] rent for May"
            rent = (await network.client.get_account_info(account)).value
            assert rent is not None
            assert await network.read_balance(network.alice) == before - rent.lamports - 5060 - 5000

    asyncio.run(run())


def test_bad_token_transfers_are_refused_before_they_are_sent() -> None:
    """No token, too much of it, none at all, an address that is no token; no lamports for the receiver's account."""

    async def run() -> None:
        async with run_network() as network:
            mint = await issue(network, TOKEN_PROGRAM_ID, 100)
            build = network.adapter.build_token_transfer
            with pytest.raises(InvalidInput, match="is no token"):
                await build(network.alice_key, network.bob, network.bob, 1)
            with pytest.raises(InsufficientFunds) as caught:
                await build(network.alice_key, mint, network.bob, 101)
            assert (caught.value.balance, caught.value.needed) == (100, 101)
            for amount in (0, -1, 2**64):
                with pytest.raises(InvalidAmount):
                    await build(network.alice_key, mint, network.bob, amount)
            await finish(
                network, await network.adapter.build_transfer(network.alice_key, network.bob, 9 * SOL)
            )
            left = await network.adapter.fetch_balance(network.alice) - 900_000 - 5000
            await finish(network, await network.adapter.build_transfer(network.alice_key, network.bob, left))
            with pytest.raises(InsufficientFunds, match="SOL"):
                await build(network.alice_key, mint, str(NOBODY), 1)

    asyncio.run(run())


def test_accounts_are_found_by_what_they_hold() -> None:
    """Program accounts with filters, token accounts by delegate; errors for what is no token."""

    async def run() -> None:
        async with run_network() as network:
            await issue(network, TOKEN_PROGRAM_ID, 100)
            alice = Pubkey.from_string(network.alice)
            account = token.get_associated_token_address(alice, MINT.pubkey(), TOKEN_PROGRAM_ID)
            filters = [{"dataSize": 165}, {"memcmp": {"offset": 32, "bytes": network.alice}}]
            params = [str(TOKEN_PROGRAM_ID), {"encoding": "jsonParsed", "filters": filters}]
            (found,) = await network.rpc.call("getProgramAccounts", params)
            assert found["pubkey"] == str(account)
            assert found["account"]["data"]["parsed"]["info"]["owner"] == network.alice
            params[1] = {"filters": [{"memcmp": {"offset": 32, "bytes": network.bob}}], "encoding": "base64"}
            assert await network.rpc.call("getProgramAccounts", params) == []
            approve = token.approve(
                ApproveParams(
                    program_id=TOKEN_PROGRAM_ID,
                    source=account,
                    delegate=Pubkey.from_string(network.bob),
                    owner=alice,
                    amount=40,
                )
            )
            await finish(network, await network.adapter.build(network.alice_key, [approve]))
            params = [network.bob, {"mint": str(MINT.pubkey())}, {"encoding": "jsonParsed"}]
            (found,) = (await network.rpc.call("getTokenAccountsByDelegate", params))["value"]
            assert found["account"]["data"]["parsed"]["info"]["delegatedAmount"]["amount"] == "40"
            for method, params in (
                ("getTokenSupply", [network.alice]),
                ("getTokenAccountBalance", [str(MINT.pubkey())]),
                ("getTokenAccountsByOwner", [network.alice, {}]),
                ("getTokenAccountsByOwner", [network.alice, {"programId": network.bob}]),
            ):
                with pytest.raises(EndpointError) as caught:
                    await network.rpc.call(method, params)
                assert caught.value.rpc_code == -32602

    asyncio.run(run())


def test_a_priority_fee_is_what_others_paid() -> None:
    """The middle of the last slots, where the same accounts were written; paid and read back."""

    async def run() -> None:
        async with run_network() as network:
            build = network.adapter.build_transfer
            for price in (1_000_000, 3_000_000, 9_000_000):
                wishes = Wishes(unit_price=price, unit_limit=1_000)
                await finish(network, await build(network.alice_key, network.bob, SOL, wishes=wishes))
            recent = (
                await network.client.get_recent_prioritization_fees([Pubkey.from_string(network.bob)])
            ).value
            # The faucet's own payment to alice is not bob's.
            assert [one.prioritization_fee for one in recent] == [1_000_000, 3_000_000, 9_000_000]
            unsigned = await build(
                network.alice_key, network.bob, SOL, wishes=Wishes(unit_price="market", unit_limit=1_000)
            )
            assert network.adapter.inspect(unsigned).fee_max == 5000 + 3_000 or (
                network.adapter.inspect(unsigned).fee_max == 5000 + 1_000
            )
            await finish(network, unsigned)

    asyncio.run(run())


def test_a_durable_nonce_outlives_its_blockhash() -> None:
    """Built, kept for long, sent; the twin that names the same value is dropped, and can be renewed."""

    async def run() -> None:
        async with run_network() as network:
            adapter, key = network.adapter, network.alice_key
            await finish(network, await adapter.build_nonce_account(key, "patience"))
            account = str(derive_nonce_account(Pubkey(key), "patience"))
            wishes = Wishes(nonce_account=account)
            first, second = [
                await adapter.build_transfer(key, network.bob, amount, wishes=wishes)
                for amount in (SOL, 2 * SOL)
            ]
            network.clock.seconds += 3600
            lost = network.sign(second)
            assert (await adapter.fetch_status(lost)).state is State.UNKNOWN
            await finish(network, first)
            with pytest.raises(TransactionDropped):
                await track(adapter, lost, timeout_seconds=60)
            with pytest.raises(BroadcastRefused, match="Blockhash not found"):
                await adapter.broadcast(lost)
            await finish(network, await adapter.renew(second))
            assert await network.read_balance(network.bob) == 3 * SOL
            assert "Send 2 SOL" in adapter.describe(second)
            with pytest.raises(InvalidInput, match="no nonce account"):
                await adapter.build_transfer(key, network.bob, SOL, wishes=Wishes(nonce_account=network.bob))

    asyncio.run(run())


def test_a_waiting_transaction_is_bumped_under_the_same_nonce() -> None:
    """The dearer one is included and charged; the first can no longer be."""

    async def run() -> None:
        async with run_network() as network:
            adapter, key = network.adapter, network.alice_key
            await finish(network, await adapter.build_nonce_account(key, "patience"))
            account = str(derive_nonce_account(Pubkey(key), "patience"))
            wishes = Wishes(nonce_account=account, unit_limit=2_000, memo="for May")
            for is_legacy in (False, True):
                first = await adapter.build_transfer(
                    key, network.bob, SOL, wishes=replace(wishes, is_legacy=is_legacy)
                )
                second = await adapter.bump(first, 1_000_000)
                third = await adapter.bump(second, 4_000_000)
                assert adapter.describe(third).startswith(f"Send 1 SOL from {network.alice} to {network.bob}")
                fees = [adapter.inspect(one).fee_max for one in (first, second, third)]
                assert fees == [5_000, 5_000 + 2_000, 5_000 + 8_000]
                before = await network.read_balance(network.alice)
                await finish(network, third)
                assert await network.read_balance(network.alice) == before - SOL - fees[2]
                for lost in (first, second):
                    with pytest.raises(TransactionDropped):
                        await track(adapter, network.sign(lost), timeout_seconds=60)
                    with pytest.raises(BroadcastRefused, match="Blockhash not found"):
                        await adapter.broadcast(network.sign(lost))
            with pytest.raises(InvalidAmount, match="no more than 4000000"):
                await adapter.bump(third, 4_000_000)
            with pytest.raises(InsufficientFunds):
                await adapter.bump(third, 10**16)
            plain = await adapter.build_transfer(key, network.bob, SOL)
            with pytest.raises(InvalidInput, match="could both be included") as caught:
                await adapter.bump(plain, 1_000)
            assert "renew it with a higher unit_price" in str(caught.value.hint)

    asyncio.run(run())


def test_an_expired_transaction_is_renewed() -> None:
    """Dropped by its age; the same payment under a new blockhash arrives, once."""

    async def run() -> None:
        async with run_network() as network:
            unsigned = await network.adapter.build_transfer(network.alice_key, network.bob, SOL)
            late = network.sign(unsigned)
            network.clock.seconds += 160 * 0.4
            with pytest.raises(TransactionDropped):
                await track(network.adapter, late, timeout_seconds=60)
            renewed = await network.adapter.renew(unsigned)
            assert network.adapter.inspect(renewed) == network.adapter.inspect(unsigned)
            await finish(network, renewed)
            assert await network.read_balance(network.bob) == SOL
            legacy = await network.adapter.build_transfer(
                network.alice_key, network.bob, SOL, wishes=Wishes(is_legacy=True)
            )
            network.clock.seconds += 160 * 0.4
            before = await network.read_balance(network.alice)
            await finish(network, await network.adapter.renew(legacy, unit_price=1_000_000))
            assert await network.read_balance(network.bob) == 2 * SOL
            # Without a limit, an instruction of a program that is part of the chain counts 3,000 units: here two.
            assert await network.read_balance(network.alice) == before - SOL - 5_000 - 6_000

    asyncio.run(run())


def test_a_lookup_table_stands_for_addresses() -> None:
    """Made by solana-py's user, used by our adapter; another account is no table."""

    async def run() -> None:
        async with run_network() as network:
            table = await make_table(network)
            await network.engine.mine()
            unsigned = await network.adapter.build_transfer(
                network.alice_key, network.bob, SOL, wishes=Wishes(tables=[str(table)])
            )
            assert Pubkey.from_string(network.bob) not in decode_message(unsigned.body).account_keys
            assert network.adapter.describe(unsigned).startswith("Run 1 instructions")
            await finish(network, unsigned)
            assert await network.read_balance(network.bob) == SOL
            with pytest.raises(InvalidInput, match="no lookup table"):
                await network.adapter.build_transfer(
                    network.alice_key, network.bob, SOL, wishes=Wishes(tables=[network.bob])
                )

    asyncio.run(run())


def test_blocks_are_told_with_their_transactions() -> None:
    """In each form; a slot that has not come has none."""

    async def run() -> None:
        async with run_network() as network:
            signed = await finish(
                network, await network.adapter.build_transfer(network.alice_key, network.bob, SOL)
            )
            slot = (await network.adapter.fetch_status(signed)).height
            options = {"maxSupportedTransactionVersion": 0, "transactionDetails": "signatures"}
            found = await network.rpc.call("getBlock", [slot, options])
            assert found["signatures"] == [signed.transaction_id]
            block = (await network.client.get_block(slot or 0, max_supported_transaction_version=0)).value
            assert block is not None
            assert str(block.blockhash) == found["blockhash"]
            assert await network.rpc.call("getBlocks", [slot, slot]) == [slot]
            with pytest.raises(EndpointError) as caught:
                await network.rpc.call("getBlock", [10**12])
            assert caught.value.rpc_code == -32004

    asyncio.run(run())
