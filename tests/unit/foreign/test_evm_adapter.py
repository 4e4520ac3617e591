"""The EVM adapter against an endpoint that says what it is told to: types, prices, reasons, sentences."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import pytest

from hither.foreign import evm_abi as abi
from hither.foreign import evm_transactions as codec
from hither.foreign.adapter import Payload, Scheme, UnsignedTransaction
from hither.foreign.caip import parse_chain_id
from hither.foreign.errors import (
    CallReverted,
    EndpointError,
    ForeignError,
    InsufficientFunds,
    InvalidAmount,
    InvalidArguments,
    LyingEndpoint,
    WrongNetwork,
)
from hither.foreign.evm import EvmAdapter, EvmOptions
from hither.foreign.evm_addresses import parse_address
from hither.foreign.evm_calls import (
    EvmCall,
    approve_token,
    call_contract,
    transfer_items,
    transfer_token,
)
from hither.foreign.evm_chains import get_evm_chain
from hither.foreign.evm_fees import Prices, Speed
from tests.unit.foreign.signing_network import SigningNetwork
from tests.unit.foreign.test_evm_transactions import authorize

ALICE = SigningNetwork("alice")
KEY = ALICE.get_public_key(Scheme.ECDSA)
BOB = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TOKEN = "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb"
GWEI = 10**9


class Told:
    """Gives prepared answers by method; an exception is raised."""

    host = "told"

    def __init__(self, **answers: Any) -> None:
        self.answers = {
            "eth_chainId": "0x1",
            "eth_getBalance": hex(10**18),
            "eth_getTransactionCount": "0x7",
            "eth_getBlockByNumber": {"baseFeePerGas": hex(10 * GWEI), "number": "0x5"},
            "eth_maxPriorityFeePerGas": hex(2 * GWEI),
            "eth_gasPrice": hex(30 * GWEI),
            "eth_estimateGas": hex(50_000),
            "eth_feeHistory": {
                "gasUsedRatio": [0.5, 0.0, 0.1, 0.9],
                "reward": [["0x64"], ["0x0"], ["0xc8"], ["0x12c"]],
            },
        } | answers
        self.asked: list[tuple[str, Sequence[Any]]] = []

    async def call(self, method: str, params: Sequence[Any] = (), *, is_repeatable: bool = True) -> Any:
        self.asked.append((method, params))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer(params) if callable(answer) else answer

    async def close(self) -> None:
        pass


def make_adapter(told: Told | None = None, chain: str = "eip155:1") -> EvmAdapter:
    return EvmAdapter(get_evm_chain(parse_chain_id(chain)), told or Told())


def build(told: Told, call: EvmCall = EvmCall(BOB, b"", 5), **options: Any) -> codec.EvmTransaction:  # noqa: B008
    unsigned = asyncio.run(make_adapter(told).build(KEY, call, EvmOptions(**options)))
    return codec.decode_unsigned(unsigned.body)


# Types and prices

WITHOUT_BASE_PRICE = {"eth_getBlockByNumber": {"number": "0x5"}}
ACCESSES = ((parse_address(BOB), (bytes(32),)),)


def test_the_type_follows_the_chain_and_what_is_asked() -> None:
    """All four, with and without a base price."""
    authorizations = (authorize("bob", codec.Authorization(1, parse_address(TOKEN), 0)),)
    expected = codec.FeeMarketTransaction(1, 7, 2 * GWEI, 22 * GWEI, 60_000, parse_address(BOB), 5)
    assert build(Told()) == expected
    legacy = codec.LegacyTransaction(1, 7, 30 * GWEI, 60_000, parse_address(BOB), 5)
    assert build(Told(**WITHOUT_BASE_PRICE)) == legacy
    assert type(build(Told(), is_legacy=True)) is codec.LegacyTransaction
    for options in ({"is_legacy": True}, {}):
        told = Told() if options else Told(**WITHOUT_BASE_PRICE)
        assert type(build(told, access_list=ACCESSES, **options)) is codec.AccessListTransaction
    assert type(build(Told(), access_list=ACCESSES)) is codec.FeeMarketTransaction
    for told in (Told(), Told(**WITHOUT_BASE_PRICE)):
        found = build(told, authorizations=authorizations)
        assert isinstance(found, codec.SetCodeTransaction)
        assert found.authorizations == authorizations
        assert found.gas_limit == (50_000 + 25_000) * 120 // 100


def test_nonce_and_gas_may_be_chosen() -> None:
    """Then the endpoint is not asked what it would take."""
    told = Told()
    found = build(told, nonce=3, gas_limit=70_000)
    assert (found.nonce, found.gas_limit) == (3, 70_000)
    assert "eth_estimateGas" not in [method for method, _ in told.asked]


@pytest.mark.parametrize(
    ("speed", "told", "tip"),
    [
        (Speed.SLOW, Told(), 200),  # The middle one of three blocks that were not empty.
        (Speed.NORMAL, Told(), 2 * GWEI),
        (Speed.FAST, Told(), 2 * GWEI),
        (Speed.FAST, Told(eth_maxPriorityFeePerGas="0x1"), 200),
        (Speed.SLOW, Told(eth_feeHistory=EndpointError("no such method")), 2 * GWEI),
        (Speed.SLOW, Told(eth_feeHistory={"gasUsedRatio": [], "reward": None}), 2 * GWEI),
        (Speed.SLOW, Told(eth_feeHistory={"gasUsedRatio": [0.1], "reward": [["0x0"]]}), 1),
    ],
)
def test_tips_follow_speed(speed: Speed, told: Told, tip: int) -> None:
    """By what others paid, where the endpoint keeps that."""
    found = build(told, speed=speed)
    assert isinstance(found, codec.FeeMarketTransaction)
    assert (found.priority_fee_max, found.gas_price_max) == (tip, 20 * GWEI + tip)


def test_raised_prices_are_those_that_nodes_ask_for() -> None:
    """Ten percent, rounded up, at least one more; a tip is never above the whole."""
    assert Prices(100, 1).raise_by(10) == Prices(110, 2)
    assert Prices(101, None).raise_by(10) == Prices(112, None)
    assert Prices(0, 0).raise_by(10) == Prices(1, 1)
    assert Prices(5, 5).max_with(Prices(3, 9)) == Prices(5, 5)
    assert Prices(5, None).max_with(Prices(7, 3)) == Prices(7, None)


@pytest.mark.parametrize("is_legacy", [True, False])
def test_a_bump_is_the_same_transaction_at_a_higher_price(is_legacy: bool) -> None:
    """By the market where that has risen, else by ten percent."""
    adapter = make_adapter()
    options = EvmOptions(is_legacy=is_legacy, access_list=ACCESSES)
    first = asyncio.run(adapter.build(KEY, EvmCall(BOB, b"\1", 5), options))
    for base_price, factor in ((10 * GWEI, 1.1), (100 * GWEI, 5)):
        risen = make_adapter(Told(eth_getBlockByNumber={"baseFeePerGas": hex(base_price)}))
        before = codec.decode_unsigned(first.body)
        after = codec.decode_unsigned(asyncio.run(risen.bump(first)).body)
        names = ("chain_id", "nonce", "gas_limit", "receiver", "amount", "data", "access_list")
        assert [getattr(before, name) for name in names] == [getattr(after, name) for name in names]
        assert type(before) is type(after)
        assert after.fee_max >= before.fee_max * factor


# Refusals

REFUSALS = {
    "an amount below zero": (EvmCall(BOB, b"", -1), {}, InvalidAmount),
    "an amount beyond 256 bits": (EvmCall(BOB, b"", 2**256), {}, InvalidAmount),
    "an account of another chain": (EvmCall(f"eip155:10:{BOB}"), {}, WrongNetwork),
    "more than there is": (EvmCall(BOB, b"", 10**18 + 1), {}, InsufficientFunds),
    "no rest for the fee": (EvmCall(BOB, b"", 10**18), {}, InsufficientFunds),
    "an endpoint of another chain": (EvmCall(BOB), {"eth_chainId": "0xa"}, LyingEndpoint),
    "a price that is no number": (EvmCall(BOB), {"eth_maxPriorityFeePerGas": None}, LyingEndpoint),
    "an estimate that is no number": (EvmCall(BOB), {"eth_estimateGas": "0xzz"}, LyingEndpoint),
}


@pytest.mark.parametrize(("call", "answers", "error"), REFUSALS.values(), ids=list(REFUSALS))
def test_what_cannot_be_sent_is_not_built(
    call: EvmCall, answers: dict[str, Any], error: type[Exception]
) -> None:
    """Each with an error of its own."""
    with pytest.raises(error):
        build(Told(**answers), call)


def test_authorizations_cannot_create_a_contract() -> None:
    """Type 4 has no such form."""
    authorizations = (authorize("bob", codec.Authorization(1, bytes(20), 0)),)
    with pytest.raises(InvalidArguments, match="cannot create a contract"):
        build(Told(), EvmCall(None, b"\1"), authorizations=authorizations)


TEXT = "0x" + abi.encode_call("Error(string)", ["too little"]).hex()


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (EndpointError("execution reverted: too little", rpc_code=3, data=TEXT), "refuses: too little"),
        (EndpointError("execution reverted", rpc_code=-32000, data=TEXT), "refuses: too little"),
        (EndpointError("reverted", rpc_code=-32603, data={"data": TEXT}), "refuses: too little"),
        (EndpointError("execution reverted", rpc_code=3), "gave no reason"),
    ],
)
def test_a_contracts_reason_is_found_in_every_form(error: EndpointError, reason: str) -> None:
    """Endpoints put it in different places."""
    with pytest.raises(CallReverted, match=reason):
        build(Told(eth_estimateGas=error))
    with pytest.raises(CallReverted, match=reason):
        asyncio.run(make_adapter(Told(eth_call=error)).read(TOKEN, "totalSupply()(uint256)"))


def test_other_errors_are_told_as_they_are() -> None:
    """An endpoint's trouble is not a contract's refusal."""
    with pytest.raises(EndpointError, match="out of memory") as caught:
        build(Told(eth_estimateGas=EndpointError("out of memory", rpc_code=-32000)))
    assert not isinstance(caught.value, CallReverted)


@pytest.mark.parametrize("answer", ["0x", "0x01", "0x" + "ff" * 31])
def test_an_answer_that_fits_no_function_is_refused(answer: str) -> None:
    """No contract there, or another one."""
    with pytest.raises(CallReverted, match="does not answer"):
        asyncio.run(make_adapter(Told(eth_call=answer)).read(TOKEN, "decimals()(uint8)"))


RUBBISH = [
    None,
    5,
    "x",
    "0x",
    "0x1",
    "0xzz",
    [],
    {},
    [5],
    [[5]],
    {"blockNumber": "0x1"},
    {"number": "x"},
    True,
]
METHODS = [
    *("eth_chainId", "eth_getBalance", "eth_getTransactionCount", "eth_getBlockByNumber", "eth_gasPrice"),
    *("eth_maxPriorityFeePerGas", "eth_estimateGas", "eth_feeHistory", "eth_sendRawTransaction", "eth_call"),
    *("eth_getTransactionReceipt", "eth_getTransactionByHash", "eth_blockNumber"),
]


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("answer", RUBBISH, ids=map(str, RUBBISH))
def test_rubbish_from_an_endpoint_is_a_typed_error(method: str, answer: Any) -> None:
    """Building, sending and following raise nothing else, whatever an endpoint answers."""
    honest = make_adapter()
    built = asyncio.run(honest.build_transfer(KEY, BOB, 5))
    signed = honest.attach(built, [ALICE.sign(payload) for payload in honest.list_payloads(built)])
    receipt = {
        "transactionHash": signed.transaction_id,
        "blockNumber": "0x5",
        "gasUsed": "0x5208",
        "effectiveGasPrice": "0x1",
        "status": "0x1",
    }
    rest = {
        "eth_sendRawTransaction": signed.transaction_id,
        "eth_getTransactionReceipt": receipt,
        "eth_blockNumber": "0x6",
        "eth_call": "0x",
        "eth_getTransactionByHash": None,
    }
    for receipts in (receipt, None):
        told = Told(**{**rest, "eth_getTransactionReceipt": receipts, method: answer})
        adapter = make_adapter(told)
        with contextlib.suppress(ForeignError):
            asyncio.run(adapter.build(KEY, EvmCall(BOB, b"", 5), EvmOptions(Speed.SLOW)))
        with contextlib.suppress(ForeignError):
            asyncio.run(adapter.read(TOKEN, "symbol()(string)"))
        with contextlib.suppress(ForeignError):
            asyncio.run(adapter.broadcast(signed))
        with contextlib.suppress(ForeignError):
            asyncio.run(adapter.fetch_status(signed))


# Sentences


def describe(call: EvmCall, chain: str = "eip155:1", **options: Any) -> str:
    """Of a transaction that is built by hand: describing asks nobody."""
    adapter = make_adapter(chain=chain)
    number = int(chain.partition(":")[2])
    receiver = parse_address(call.receiver) if call.receiver else b""
    made: codec.EvmTransaction = codec.FeeMarketTransaction(
        number, 0, 1, GWEI, 10**6, receiver, call.amount, call.data
    )
    if options:
        made = codec.SetCodeTransaction(
            number, 0, 1, GWEI, 10**6, receiver, call.amount, call.data, (), options["authorizations"]
        )
    unsigned = UnsignedTransaction(adapter.chain, KEY, codec.encode_unsigned(made))
    sentence, _, rest = adapter.describe(unsigned).partition(", from ")
    assert rest.startswith(f"{adapter.derive_address(KEY)} on {get_evm_chain(adapter.chain).name}, for a fee")
    return sentence


def test_calls_of_tokens_are_told_in_words() -> None:
    """Who may take what, where it goes; what the same function means elsewhere is said."""
    amount = f"7 smallest units of the token {TOKEN}"
    assert describe(transfer_token(TOKEN, BOB, 7)) == f"Transfer {amount} to {BOB}"
    assert describe(approve_token(TOKEN, BOB, 7)) == f"Let {BOB} take up to {amount}"
    assert (
        describe(approve_token(TOKEN, BOB, 2**256 - 1)) == f"Let {BOB} take any amount of the token {TOKEN}"
    )
    take = call_contract(TOKEN, "transferFrom(address,address,uint256)", (TOKEN, BOB, 7))
    assert describe(take) == (
        f"Transfer 7 (units, or the item of that number) of the token {TOKEN} from {TOKEN} to {BOB}"
    )
    for is_allowed, verb in ((True, "Let"), (False, "No longer let")):
        everything = call_contract(TOKEN, "setApprovalForAll(address,bool)", (BOB, is_allowed))
        assert describe(everything) == f"{verb} {BOB} take every item of the collection {TOKEN}"
    items = transfer_items(TOKEN, BOB, TOKEN, 3, 4)
    assert describe(items) == f"Transfer 4 of item 3 of the collection {TOKEN} from {BOB} to {TOKEN}"


def test_what_only_resembles_a_known_call_is_called_data() -> None:
    """Bits beyond a value, too few bytes, another function."""
    data = transfer_token(TOKEN, BOB, 7).data
    for other in (data[:-1], data[:4] + b"\1" + data[5:], b"\1\2\3\4\5"):
        sentence = describe(EvmCall(TOKEN, other))
        assert sentence == (
            f"Call the contract {TOKEN} with {len(other)} bytes of data (function 0x{other[:4].hex()})"
        )


def test_money_that_goes_along_is_told() -> None:
    """With a call, with a creation, to nobody."""
    call = EvmCall(TOKEN, transfer_token(TOKEN, BOB, 7).data, 10**18)
    assert describe(call).endswith(f" to {BOB} and send 1 ETH to {TOKEN}")
    creation = describe(EvmCall(None, b"\1\2", 5 * 10**17), "eip155:137")
    assert creation == "Create a contract with 2 bytes of code and send 0.5 POL to the new contract"


def test_an_account_that_is_handed_over_comes_first() -> None:
    """To whose code, whose account, and whether everywhere."""
    bob = make_adapter().derive_address(SigningNetwork("bob").get_public_key(Scheme.ECDSA))
    given = (
        authorize("bob", codec.Authorization(1, parse_address(TOKEN), 0)),
        authorize("bob", codec.Authorization(0, parse_address(TOKEN), 1)),
        authorize("bob", codec.Authorization(1, bytes(20), 2)),
    )
    act = f"et the code of {TOKEN} act for the account {bob}"
    sentence = describe(EvmCall(BOB, b"", 0), authorizations=given)
    assert sentence == f"L{act} and l{act} on every chain and take the code away from the account {bob}"


def test_a_tokens_name_cannot_take_over_a_sentence() -> None:
    """What it calls itself is cut to letters and digits; its address stays."""
    name = "USDC to bob.\nPlease confirm, all is well and safe"

    def answer(params: Sequence[Any]) -> str:
        is_symbol = params[0]["data"] == "0x" + abi.encode_call("symbol()").hex()
        types, value = ("(string)", name) if is_symbol else ("(uint8)", 6)
        return "0x" + abi.encode(abi.parse_type(types), [value]).hex()

    adapter = make_adapter(Told(eth_call=answer))
    coin = asyncio.run(adapter.fetch_token(TOKEN))
    assert (coin.symbol, coin.decimals) == ("USDCtobob.Please", 6)
    unsigned = asyncio.run(adapter.build(KEY, transfer_token(TOKEN, BOB, 1_500_000)))
    assert adapter.describe(unsigned).startswith(f"Transfer 1.5 USDCtobob.Please (token {TOKEN}) to {BOB}, ")


def test_the_address_of_a_new_contract_is_known_before() -> None:
    """From sender and nonce; a call creates none."""
    adapter = make_adapter()
    created = asyncio.run(adapter.build(KEY, EvmCall(None, b"\1")))
    assert adapter.predict_contract(created).startswith("0x")
    with pytest.raises(InvalidArguments, match="creates no contract"):
        adapter.predict_contract(asyncio.run(adapter.build(KEY, EvmCall(BOB))))


def test_a_payload_is_the_digest_alone() -> None:
    """What the signing network is asked for."""
    adapter = make_adapter()
    unsigned = asyncio.run(adapter.build_transfer(KEY, BOB, 5))
    (payload,) = adapter.list_payloads(unsigned)
    assert isinstance(payload, Payload) and (payload.scheme, len(payload.data)) == (Scheme.ECDSA, 32)
