"""What the demonstration shows beside plain transfers: a swap on Uniswap, a token on Solana, a treasury that pays."""

import secrets
import time
from typing import Any, Final

from hither.client import AsyncClient, Signer
from hither.crypto.keys import public_key_to_str
from hither.foreign.adapter import Adapter
from hither.foreign.caip import ChainId
from hither.foreign.engines.faucet import fund
from hither.foreign.engines.token_faucet import issue_token
from hither.foreign.evm_account import find_unlocked
from hither.foreign.evm_uniswap import deploy_uniswap_v3, fetch_quote, make_swap
from hither.foreign.transport import JsonRpc
from hither.sdk.amounts import Units
from hither.sdk.demo_rows import Before, DemoFailed, Row, Stage, make_claim, make_row
from hither.sdk.treasury import Treasury
from hither.sdk.verification import Claim, TokenGain

SWAPPED_WEI: Final = 10**16
TOKENS_ISSUED: Final = 1_000_000_000
TOKENS_SENT: Final = 250_000_000
TOKEN_DECIMALS: Final = 6
PARENT_ID: Final = "test.near"
VOTER_ID: Final = "alice.near"
TREASURY_START: Final = "10 N"
TREASURY_SATOSHIS: Final = 10**7
PAID_SATOSHIS: Final = 250_000
PAID_FEE_MAX_SATOSHIS: Final = 1_000


def find_chain(stage: Stage, namespace: str) -> ChainId | None:
    """The first of a family on this network."""
    return next((chain for chain in stage.network.endpoints if chain.namespace == namespace), None)


async def show_swap(stage: Stage, chain: ChainId) -> tuple[Row, Claim]:
    """Uniswap v3 itself, set up by somebody else; the account swaps in it, for what Uniswap's quoter says."""
    stage.say(f"{chain}: deploying Uniswap v3 with a pool")
    rpc = JsonRpc(stage.network.endpoints[chain].url)
    try:
        exchange = await deploy_uniswap_v3(await find_unlocked(rpc))
        quote = await fetch_quote(rpc, exchange, SWAPPED_WEI)
    finally:
        await rpc.close()
    on = stage.account.on(chain)
    before, address = Before(await on.balance(), await on.nonce()), await on.address()
    sent = await on.act(make_swap(exchange, address, SWAPPED_WEI, quote), progress=stage.follow)
    deed = f"swap on Uniswap v3 for {quote / 10**18:.6f} HUSD"
    gain = TokenGain(exchange.token, address, quote)
    claim = make_claim(stage.network, sent, deed=deed, nonce=before.nonce, gain=gain)
    return make_row(on, sent, before, deed=deed), claim


async def show_token(stage: Stage, chain: ChainId) -> tuple[Row, Claim]:
    """An SPL token that somebody issued to the account moves on to the receiver."""
    on, receiver = stage.account.on(chain), await stage.receiver.on(chain).address()
    stage.say(f"{chain}: issuing a token")
    before = Before(await on.balance(), await on.nonce())
    url = stage.network.endpoints[chain].url
    mint = await issue_token(chain, url, await on.address(), TOKENS_ISSUED, TOKEN_DECIMALS)
    sent = await on.send_token(mint, receiver, Units(TOKENS_SENT), progress=stage.follow)
    amount = f"{TOKENS_SENT / 10**TOKEN_DECIMALS:g} of the token {mint}"
    deed, gain = "SPL token", TokenGain(mint, receiver, TOKENS_SENT)
    row = make_row(on, sent, before, deed=deed, amount=amount)
    return row, make_claim(stage.network, sent, deed=deed, gain=gain)


async def show_treasury(stage: Stage, chain: ChainId, keys: dict[str, str]) -> tuple[Row, Claim]:
    """A contract of three owners pays a bitcoin address after two of them agreed."""
    contract_id = f"treasury-{secrets.token_hex(4)}.{PARENT_ID}"
    own = Signer.generate(contract_id)
    on, adapter = stage.account.on(chain), stage.account.get_adapter(chain)
    receiver = await stage.receiver.on(chain).address()
    async with AsyncClient(stage.network.rpc_url) as client:
        treasury = Treasury(stage.network, client, contract_id)
        stage.say(f"{chain}: making the treasury {contract_id} of three owners, two of whom must agree")
        parent, public_key = Signer(PARENT_ID, keys[PARENT_ID]), public_key_to_str(own.public_key)
        await client.create_account(contract_id, public_key, TREASURY_START, signer=parent)
        owners = [stage.account.account_id, VOTER_ID, stage.receiver.account_id]
        await treasury.deploy(own, owners, 2)
        address = await _fund_treasury(stage, treasury, adapter)
        started = time.monotonic()
        voter = Signer(VOTER_ID, keys[VOTER_ID])
        proposal_id = await treasury.propose(adapter, receiver, PAID_SATOSHIS, PAID_FEE_MAX_SATOSHIS, voter)
        await treasury.vote(proposal_id, stage.account.signer)
        signed, status, asked_by = await treasury.pay(adapter, proposal_id, stage.account.signer)
    stage.say(f"{chain}: the treasury paid in {signed.transaction_id}")
    facts: dict[str, Any] = {"transaction_id": signed.transaction_id, "confirmations": status.confirmations}
    deed = "paid by a treasury after a vote"
    row = Row(
        chain=str(chain),
        deed=deed,
        address=address,
        account_balance_before=on.format(0),
        account_nonce_before=0,
        sign_tx=(asked_by,),
        amount=on.format(PAID_SATOSHIS),
        fee="unknown" if status.fee is None else on.format(status.fee),
        total_ms=(time.monotonic() - started) * 1000,
        **facts,
    )
    url = stage.network.endpoints[chain].url
    return row, Claim(
        chain=chain,
        url=url,
        sender=address,
        receiver=receiver,
        amount=PAID_SATOSHIS,
        fee=status.fee,
        height=status.height,
        deed=deed,
        **facts,
    )


async def _fund_treasury(stage: Stage, treasury: Treasury, adapter: Adapter) -> str:
    address = await treasury.get_address(adapter)
    if await adapter.fetch_balance(address) or await adapter.fetch_nonce(address):
        raise DemoFailed(f"{adapter.chain}: the treasury's address {address} is new, but was used")
    stage.note(
        f"{adapter.chain}: {address}, the treasury's, has balance {adapter.coin.format(0)} and nonce 0; funding it"
    )
    url = stage.network.endpoints[adapter.chain].url
    await fund(adapter.chain, url, address, TREASURY_SATOSHIS)
    return address
