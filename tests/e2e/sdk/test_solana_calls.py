"""Programs on Solana, called by an account of our chain: the memo program, and the SPL token program."""

import asyncio
import json
from collections.abc import Iterator

import httpx
import pytest
from solders.pubkey import Pubkey
from spl.token.constants import TOKEN_PROGRAM_ID
from spl.token.instructions import (
    create_idempotent_associated_token_account,
    get_associated_token_address,
    transfer_checked,
)
from spl.token.models import TransferCheckedParams

from hither import BlockingAccount, Call, Units
from hither.foreign.engines.faucet import fund
from hither.foreign.engines.token_faucet import issue_token
from hither.foreign.errors import CallReverted, InvalidAddress, InvalidArguments, InvalidInput
from hither.sdk import SolanaAccount, SolanaCall
from hither.sdk.work import NotOnThisChain
from tests.e2e.cli.running import Network, network

pytestmark = pytest.mark.slow
MEMO = "MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr"
SOLANA = "solana:GxVcrezvPyGGCa9BcTmVnPGjndFWeQ9J"
BASE = "eip155:8453"
RECEIVER = "FSgsbMdfhTqrUJtzGtz4NzFyJM9h7gKDt5tG7yQ4jAt3"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """Our chain, the signing network and the others."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", "--evm", "8453", is_alone=False) as everything:
        yield everything


@pytest.fixture(scope="module")
def alice(running: Network) -> Iterator[BlockingAccount]:
    with BlockingAccount.load("alice.near", home=running.home) as account:
        on = account.on(SOLANA)
        asyncio.run(fund(on.chain, get_url(running), on.address(), 10**10))
        yield account


def get_url(running: Network) -> str:
    (url,) = [row["rpc_url"] for row in running.endpoints["foreign"] if row["caip2"] == SOLANA]
    return str(url)


def read_transaction(running: Network, signature: str) -> dict[str, object]:
    """As the chain tells it."""
    options = {"maxSupportedTransactionVersion": 0, "encoding": "json"}
    request = {"jsonrpc": "2.0", "id": 1, "method": "getTransaction", "params": [signature, options]}
    found: dict[str, object] = httpx.post(get_url(running), json=request, timeout=60).json()["result"]
    return found


def test_program_is_called_with_accounts_and_data(running: Network, alice: BlockingAccount) -> None:
    """The memo program logs what it was given, and by whom it was signed."""
    on = alice.on(SOLANA)
    sent = on.call(MEMO, b"for bob", SolanaAccount(on.address(), is_signer=True), reference="memo")
    found = read_transaction(running, sent.transaction_id)
    logs = found["meta"]["logMessages"]  # type: ignore[index]
    assert any("for bob" in line for line in logs), logs
    assert any(line.endswith(on.address()) for line in logs), logs
    again = on.call(MEMO, b"for bob", SolanaAccount(on.address(), is_signer=True), reference="memo")
    assert (again, sent.receiver, len(sent.sign_transactions)) == (sent, MEMO, 1)


def test_instructions_of_another_library_happen_together(running: Network, alice: BlockingAccount) -> None:
    """Tokens move by what spl.token builds: an account is made and filled in one transaction."""
    on = alice.on(SOLANA)
    mint = Pubkey.from_string(asyncio.run(issue_token(on.chain, get_url(running), on.address(), 1_000, 2)))
    own, target = Pubkey.from_string(on.address()), Pubkey.from_string(RECEIVER)
    params = TransferCheckedParams(
        program_id=TOKEN_PROGRAM_ID,
        source=get_associated_token_address(own, mint),
        mint=mint,
        dest=get_associated_token_address(target, mint),
        owner=own,
        amount=250,
        decimals=2,
    )
    built = [create_idempotent_associated_token_account(own, target, mint), transfer_checked(params)]
    calls = [
        SolanaCall(
            str(one.program_id),
            bytes(one.data),
            tuple(SolanaAccount(str(meta.pubkey), meta.is_writable, meta.is_signer) for meta in one.accounts),
        )
        for one in built
    ]
    sent = on.act(calls)
    adapter = alice._inner.get_adapter(on.chain)
    assert alice._loop.run(adapter.fetch_token_balance(RECEIVER, str(mint))) == 250
    assert len(sent.sign_transactions) == 1


def test_call_that_would_fail_is_not_signed(alice: BlockingAccount) -> None:
    """The program's reason is told, nothing was asked of the signing network, nothing was paid."""
    on = alice.on(SOLANA)
    before = on.balance()
    with pytest.raises(CallReverted, match="invalid utf-8"):
        on.call(MEMO, b"\xff\xfe", reference="no text")
    (record,) = [one for one in alice.list_transfers(is_open=False) if one.reference == "no text"]
    assert (record.step, record.asked) == ("abandoned", {})
    assert on.balance() == before
    assert json.dumps(record.outcome)


def test_mistakes_are_told_before_anything_is_written(alice: BlockingAccount) -> None:
    """Names in the place of data, coins, foreign signers, other chains."""
    on, known = alice.on(SOLANA), len(alice.list_transfers(is_open=False))
    with pytest.raises(InvalidArguments, match="takes data"):
        on.call(MEMO, "transfer(address)")
    with pytest.raises(InvalidArguments, match="SolanaAccount"):
        on.call(MEMO, b"", RECEIVER)
    with pytest.raises(InvalidArguments, match="system program"):
        on.batch([Call(MEMO, b"", (), Units(5))])
    with pytest.raises(InvalidAddress):
        on.call("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", b"")
    with pytest.raises(InvalidArguments, match="by name"):
        alice.on(BASE).call("0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", b"")
    with pytest.raises(NotOnThisChain):
        alice.on(BASE).act(SolanaCall(MEMO, b""))
    assert (alice.list_transfers(), len(alice.list_transfers(is_open=False))) == ([], known)
    with pytest.raises(InvalidInput, match="cannot sign"):
        on.call(MEMO, b"x", SolanaAccount(RECEIVER, is_signer=True))
