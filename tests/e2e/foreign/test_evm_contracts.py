"""Tokens, accounts that are contracts, code for plain accounts: real contracts, used from a derived address."""

import asyncio
from dataclasses import replace

import pytest
from web3 import HTTPProvider, Web3

from hither.foreign import evm_abi as abi
from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import EcdsaSignature, Payload, Scheme
from hither.foreign.errors import CallReverted, InsufficientFunds, WrongSignature
from hither.foreign.evm import EvmOptions
from hither.foreign.evm_account import EvmActor, SigningActor, deploy, read
from hither.foreign.evm_addresses import parse_address
from hither.foreign.evm_artefacts import read_artefact
from hither.foreign.evm_calls import (
    EvmCall,
    approve_token,
    call_contract,
    transfer_item,
    transfer_items,
    transfer_token,
)
from hither.foreign.evm_chains import EvmChain, get_evm_chain
from hither.foreign.evm_messages import make_typed_payload
from hither.foreign.evm_signatures import join_signature
from hither.foreign.evm_user_operations import (
    EntryPointVersion,
    UserOperation,
    attach_to_operation,
    handle_operations,
    hash_user_operation,
    make_creation,
    make_execution,
    make_operation_payload,
)
from tests.e2e.foreign.acting import ETHER, Stage, run_stage
from tests.unit.foreign.signing_network import SigningNetwork

BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
BALANCE = "balanceOf(address)(uint256)"


async def deploy_token(actor: EvmActor, symbol: str = "USDX") -> str:
    """A thousand whole ones for who deploys it."""
    arguments = ("Dollar X", symbol, 1000 * ETHER, actor.address)
    artefact = read_artefact("openzeppelin", "ERC20PresetFixedSupply")
    return await deploy(actor, artefact, "(string,string,uint256,address)", arguments)


async def sign(name: str, payload: Payload) -> EcdsaSignature:
    """One person's signature, outside the builders."""
    signature = SigningNetwork(name).sign(payload)
    assert isinstance(signature, EcdsaSignature)
    return signature


# Tokens


def test_tokens_of_all_three_standards_are_transferred() -> None:
    """OpenZeppelin's, deployed by a derived address; read again by web3.py; each described in words."""

    async def run() -> None:
        async with run_stage() as stage:
            alice, adapter = stage.alice, stage.adapter
            token = await deploy_token(alice)
            names = "(string,string,string)"
            items = await deploy(
                alice, read_artefact("openzeppelin", "ERC721PresetMinterPauserAutoId"), names, ("I", "I", "")
            )
            many = await deploy(
                alice, read_artefact("openzeppelin", "ERC1155PresetMinterPauser"), "(string)", ("",)
            )
            await alice.act(call_contract(items, "mint(address)", (alice.address,)))
            mint = "mint(address,uint256,uint256,bytes)"
            await alice.act(call_contract(many, mint, (alice.address, 9, 50, b"")))

            calls = [
                transfer_token(token, BOB, 15 * ETHER // 10),
                transfer_item(items, alice.address, BOB, 0),
                transfer_items(many, alice.address, BOB, 9, 20),
            ]
            await adapter.fetch_token(token)
            sentences = [adapter.describe(await adapter.build(alice.public_key, call)) for call in calls]
            assert [sentence.partition(", from")[0] for sentence in sentences] == [
                f"Transfer 1.5 USDX (token {token}) to {BOB}",
                f"Transfer item 0 of the collection {items} from {alice.address} to {BOB}",
                f"Transfer 20 of item 9 of the collection {many} from {alice.address} to {BOB}",
            ]
            for call in calls:
                await alice.act(call)

            web3 = Web3(HTTPProvider(stage.engine.url))
            contracts = [
                web3.eth.contract(address, abi=read_artefact("openzeppelin", name).abi)
                for address, name in [
                    (token, "ERC20PresetFixedSupply"),
                    (items, "ERC721PresetMinterPauserAutoId"),
                    (many, "ERC1155PresetMinterPauser"),
                ]
            ]
            assert contracts[0].functions.balanceOf(BOB).call() == 15 * ETHER // 10
            assert contracts[1].functions.ownerOf(0).call() == BOB
            assert contracts[2].functions.balanceOf(BOB, 9).call() == 20
            for call in (calls[1], replace(calls[0], data=calls[0].data[:36] + b"\xff" * 32)):
                with pytest.raises(CallReverted):
                    await adapter.build(alice.public_key, call)

    asyncio.run(run())


def test_an_allowance_is_told_and_used() -> None:
    """Another account takes what it may, and no more."""

    async def run() -> None:
        async with run_stage() as stage:
            token = await deploy_token(stage.alice)
            bob = stage.make_actor("bob")
            await stage.engine.fund(bob.address, ETHER)
            unlimited = approve_token(token, bob.address, 2**256 - 1)
            sentence = stage.adapter.describe(await stage.adapter.build(stage.alice.public_key, unlimited))
            assert sentence.startswith(f"Let {bob.address} take any amount of the token {token}, from")
            await stage.alice.act(approve_token(token, bob.address, 10))
            take = "transferFrom(address,address,uint256)"
            await bob.act(call_contract(token, take, (stage.alice.address, bob.address, 7)))
            assert await read(bob, token, BALANCE, bob.address) == 7
            with pytest.raises(CallReverted, match="insufficient allowance"):
                await bob.act(call_contract(token, take, (stage.alice.address, bob.address, 4)))

    asyncio.run(run())


def test_wrapped_ether_and_many_calls_at_once() -> None:
    """WETH by a plain payment; Multicall3 reads and writes in one transaction."""

    async def run() -> None:
        async with run_stage() as stage:
            alice = stage.alice
            wrapped = await deploy(alice, read_artefact("weth", "WETH9"))
            await alice.act(EvmCall(wrapped, b"", 3 * ETHER))
            await alice.act(call_contract(wrapped, "withdraw(uint256)", (ETHER,)))
            assert await read(alice, wrapped, BALANCE, alice.address) == 2 * ETHER

            multicall = await deploy(alice, read_artefact("viem", "Multicall3"))
            calls = [
                (wrapped, False, abi.encode_call("balanceOf(address)", (alice.address,))),
                (multicall, False, abi.encode_call("getChainId()")),
                (wrapped, True, abi.encode_call("withdraw(uint256)", (1,))),
            ]
            function = "aggregate3((address,bool,bytes)[])((bool,bytes)[])"
            results = await read(alice, multicall, function, calls)
            assert [result[0] for result in results] == [True, True, False]
            assert [int.from_bytes(result[1], "big") for result in results[:2]] == [2 * ETHER, 1]
            deposit = (wrapped, False, ETHER, abi.encode_call("deposit()"))
            value = "aggregate3Value((address,bool,uint256,bytes)[])"
            await alice.act(call_contract(multicall, value, ([deposit],), amount=ETHER))
            assert await read(alice, wrapped, BALANCE, multicall) == ETHER

    asyncio.run(run())


def test_permit2_takes_tokens_by_a_signed_message() -> None:
    """EIP-712 from a derived address; a message for other bytes is refused by the contract."""

    async def run() -> None:
        async with run_stage("eip155:10") as stage:
            alice, bob = stage.alice, stage.make_actor("bob")
            await stage.engine.fund(bob.address, ETHER)
            token = await deploy_token(alice)
            permit2 = await deploy(alice, read_artefact("uniswap-v4-periphery", "Permit2"))
            await alice.act(approve_token(token, permit2, 2**256 - 1))

            fields = {"permitted": {"token": token, "amount": 5}, "nonce": 3, "deadline": 2**255}
            document = {
                "types": {
                    "TokenPermissions": [
                        {"name": "token", "type": "address"},
                        {"name": "amount", "type": "uint256"},
                    ],
                    "PermitTransferFrom": [
                        {"name": "permitted", "type": "TokenPermissions"},
                        {"name": "spender", "type": "address"},
                        {"name": "nonce", "type": "uint256"},
                        {"name": "deadline", "type": "uint256"},
                    ],
                },
                "primaryType": "PermitTransferFrom",
                "domain": {"name": "Permit2", "chainId": 10, "verifyingContract": permit2},
                "message": {**fields, "spender": bob.address},
            }
            payload = make_typed_payload(document, get_evm_chain(stage.engine.chain))
            signature = join_signature(alice.public_key, payload.data, await sign("alice", payload))
            take = "permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)"
            permit = ((token, 5), 3, 2**255)
            wrong = ((token, 6), 3, 2**255)
            with pytest.raises(CallReverted):
                await bob.act(
                    call_contract(permit2, take, (wrong, (bob.address, 6), alice.address, signature))
                )
            call = call_contract(permit2, take, (permit, (bob.address, 5), alice.address, signature))
            await bob.act(call)
            assert await read(bob, token, BALANCE, bob.address) == 5
            with pytest.raises(CallReverted):  # Its nonce is used.
                await bob.act(call)

    asyncio.run(run())


# Accounts that are contracts


def test_a_safe_of_two_pays_when_both_have_signed() -> None:
    """Owners sign its EIP-712 hash; one signature is too few."""

    async def run() -> None:
        async with run_stage() as stage:
            alice, bob = stage.alice, stage.make_actor("bob")
            code = await deploy(alice, read_artefact("safe", "Safe"))
            factory = await deploy(alice, read_artefact("safe", "SafeProxyFactory"))
            handler = await deploy(alice, read_artefact("safe", "CompatibilityFallbackHandler"))
            zero = "0x" + "0" * 40
            setup = abi.encode_call(
                "setup(address[],uint256,address,bytes,address,address,uint256,address)",
                ([alice.address, bob.address], 2, zero, b"", handler, zero, 0, zero),
            )
            create = "createProxyWithNonce(address,bytes,uint256)(address)"
            safe = await read(alice, factory, create, code, setup, 7)
            await alice.act(call_contract(factory, create, (code, setup, 7)))
            await stage.engine.fund(safe, 5 * ETHER)

            deed = (BOB, 2 * ETHER, b"", 0, 0, 0, 0, zero, zero)
            types = "(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address"
            digest = await read(alice, safe, f"getTransactionHash{types},uint256)(bytes32)", *deed, 0)
            payload = Payload(Scheme.ECDSA, 0, digest)
            signatures = {
                actor.address.lower(): join_signature(actor.public_key, digest, await sign(name, payload))
                for name, actor in (("alice", alice), ("bob", bob))
            }
            joined = b"".join(signatures[address] for address in sorted(signatures))
            execute = f"execTransaction{types},bytes)"
            with pytest.raises(CallReverted, match="GS0"):
                await alice.act(call_contract(safe, execute, (*deed, signatures[alice.address.lower()])))
            await alice.act(call_contract(safe, execute, (*deed, joined)))
            assert Web3(HTTPProvider(stage.engine.url)).eth.get_balance(BOB) == 2 * ETHER

    asyncio.run(run())


async def prepare_operation(stage: Stage, version: EntryPointVersion) -> tuple[str, UserOperation, EvmChain]:
    """EntryPoint, factory, and an operation of an account that is not there yet but has money."""
    package = f"entry-point-{version.value}"
    entry_point = await deploy(stage.funder, read_artefact(package, "EntryPoint"))
    if version is EntryPointVersion.V8:
        await stage.engine.mine()
    factory = await deploy(
        stage.funder, read_artefact(package, "SimpleAccountFactory"), "(address)", (entry_point,)
    )
    owner = stage.alice.address
    account = await read(stage.alice, factory, "getAddress(address,uint256)(address)", owner, 5)
    await stage.engine.fund(account, 3 * ETHER)
    operation = UserOperation(
        sender=account,
        nonce=await read(stage.alice, entry_point, "getNonce(address,uint192)(uint256)", account, 0),
        call_data=make_execution(EvmCall(BOB, b"", ETHER)),
        call_gas=100_000,
        verification_gas=500_000,
        before_verification_gas=60_000,
        gas_price_max=5 * 10**9,
        priority_fee_max=10**9,
        creation=make_creation(factory, owner, 5),
    )
    return entry_point, operation, get_evm_chain(stage.engine.chain)


@pytest.mark.parametrize("version", list(EntryPointVersion))
def test_a_user_operation_goes_through_a_real_entry_point(version: EntryPointVersion) -> None:
    """It creates its account and pays from it; the EntryPoint's own hash is ours; anybody may carry it."""

    async def run() -> None:
        async with run_stage("eip155:8453") as stage:
            entry_point, operation, info = await prepare_operation(stage, version)
            values = (
                *(operation.sender, operation.nonce, operation.creation, operation.call_data),
                *(operation.gas_limits, operation.before_verification_gas, operation.gas_prices, b"", b""),
            )
            function = (
                "getUserOpHash((address,uint256,bytes,bytes,bytes32,uint256,bytes32,bytes,bytes))(bytes32)"
            )
            told = await read(stage.alice, entry_point, function, values)
            assert hash_user_operation(operation, entry_point, info, version) == told

            payload = make_operation_payload(operation, entry_point, info, version)
            with pytest.raises(WrongSignature):
                attach_to_operation(operation, stage.alice.public_key, payload, await sign("bob", payload))
            signed = attach_to_operation(
                operation, stage.alice.public_key, payload, await sign("alice", payload)
            )
            carrier = stage.make_actor("carrier")
            await stage.engine.fund(carrier.address, ETHER)
            forged = replace(signed, call_data=make_execution(EvmCall(BOB, b"", 2 * ETHER)))
            with pytest.raises(CallReverted):
                await carrier.act(handle_operations(entry_point, [forged], carrier.address))
            await carrier.act(handle_operations(entry_point, [signed], carrier.address))
            web3 = Web3(HTTPProvider(stage.engine.url))
            assert web3.eth.get_balance(BOB) == ETHER
            assert len(web3.eth.get_code(Web3.to_checksum_address(operation.sender))) > 0
            with pytest.raises(CallReverted):  # Its nonce is used.
                await carrier.act(handle_operations(entry_point, [signed], carrier.address))

    asyncio.run(run())


# Code for plain accounts


async def authorize(stage: Stage, actor: SigningActor, name: str, delegate: str, nonce: int) -> EvmOptions:
    """Options with one authorization, signed outside the builders."""
    number = int(stage.engine.chain.reference)
    authorization = codec.Authorization(number, parse_address(delegate), nonce)
    signature = await sign(name, Payload(Scheme.ECDSA, 0, authorization.digest))
    signed = codec.attach_authorization(actor.public_key, authorization, signature)
    return EvmOptions(authorizations=(signed,))


def test_a_plain_account_takes_over_a_contracts_code_and_gives_it_back() -> None:
    """Type 4: two payments in one transaction by the derived address itself; afterwards it is plain again."""

    async def run() -> None:
        async with run_stage() as stage:
            alice, package = stage.alice, "entry-point-0.8"
            simple = read_artefact(package, "Simple7702Account")
            code = await deploy(alice, simple, "()", ())
            nonce = await stage.adapter.fetch_nonce(alice.address)
            options = await authorize(stage, alice, "alice", code, nonce + 1)
            batch = abi.encode_call(
                "executeBatch((address,uint256,bytes)[])", ([(BOB, 1, b""), (BOB, 2, b"")],)
            )
            call = EvmCall(alice.address, batch)
            options = replace(options, gas_limit=300_000)
            sentence = stage.adapter.describe(await stage.adapter.build(alice.public_key, call, options))
            assert sentence.startswith(f"Let the code of {code} act for the account {alice.address} and call")
            receipt = await alice.act(call, options)
            web3 = Web3(HTTPProvider(stage.engine.url))
            assert int(receipt["type"], 16) == 4
            assert web3.eth.get_balance(BOB) == 3
            assert (
                web3.eth.get_code(Web3.to_checksum_address(alice.address)).hex()
                == "ef0100" + code[2:].lower()
            )

            nonce = await stage.adapter.fetch_nonce(alice.address)
            back = await authorize(stage, alice, "alice", "0x" + "0" * 40, nonce + 1)
            await alice.act(EvmCall(BOB, b"", 1), back)
            assert web3.eth.get_code(Web3.to_checksum_address(alice.address)) == b""

    asyncio.run(run())


def test_somebody_else_pays_for_a_users_operation_of_a_plain_account() -> None:
    """An account without ether has its token moved: the carrier pays for both."""

    async def run() -> None:
        async with run_stage() as stage:
            poor = stage.make_actor("poor")
            code = await deploy(stage.funder, read_artefact("entry-point-0.8", "Simple7702Account"))
            with pytest.raises(InsufficientFunds):
                await poor.act(EvmCall(BOB))
            options = await authorize(stage, poor, "poor", code, 0)
            await stage.alice.act(EvmCall(BOB, b"", 5), options)
            web3 = Web3(HTTPProvider(stage.engine.url))
            assert (
                web3.eth.get_code(Web3.to_checksum_address(poor.address)).hex() == "ef0100" + code[2:].lower()
            )
            assert web3.eth.get_transaction_count(Web3.to_checksum_address(poor.address)) == 1

    asyncio.run(run())
