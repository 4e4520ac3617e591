"""A token for nothing on a development Solana chain, issued by a key that is made for it and forgotten."""

import base64
from typing import Final

from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message
from solders.pubkey import Pubkey
from solders.system_program import CreateAccountParams, create_account
from solders.transaction import VersionedTransaction

from hither.foreign.caip import ChainId
from hither.foreign.engines.faucet import fund
from hither.foreign.solana_instructions import TokenTransfer, make_token_transfer
from hither.foreign.solana_tokens import MINT_BYTES, TOKEN_PROGRAM, derive_holding
from hither.foreign.transport import JsonRpc

ISSUER_LAMPORTS: Final = 1_000_000_000
_INITIALIZE_MINT: Final = 20
_MINT_TO: Final = 7


async def issue_token(chain: ChainId, url: str, owner: str, amount: int, decimals: int) -> str:
    """A new SPL token, all of it the owner's; its address. Raises ``ForeignError``."""
    issuer, mint = Keypair(), Keypair()
    await fund(chain, url, str(issuer.pubkey()), ISSUER_LAMPORTS)
    rpc = JsonRpc(url)
    try:
        rent = await rpc.call("getMinimumBalanceForRentExemption", [MINT_BYTES])
        latest = await rpc.call("getLatestBlockhash", [{"commitment": "confirmed"}])
        instructions = _list_instructions(issuer.pubkey(), mint.pubkey(), owner, amount, decimals, rent)
        blockhash = Hash.from_string(latest["value"]["blockhash"])
        message = Message.new_with_blockhash(instructions, issuer.pubkey(), blockhash)
        raw = base64.b64encode(bytes(VersionedTransaction(message, [issuer, mint]))).decode()
        await rpc.call("sendTransaction", [raw, {"encoding": "base64"}])
    finally:
        await rpc.close()
    return str(mint.pubkey())


def _list_instructions(
    issuer: Pubkey, mint: Pubkey, owner: str, amount: int, decimals: int, rent: int
) -> list[Instruction]:
    """Make the token, make the owner's account for it, and issue to that."""
    receiver = Pubkey.from_string(owner)
    creation = create_account(
        CreateAccountParams(
            from_pubkey=issuer, to_pubkey=mint, lamports=rent, space=MINT_BYTES, owner=TOKEN_PROGRAM
        )
    )
    # No second key may freeze holdings.
    setting = bytes((_INITIALIZE_MINT, decimals)) + bytes(issuer) + b"\0"
    initialization = Instruction(TOKEN_PROGRAM, setting, [AccountMeta(mint, False, True)])
    moved = TokenTransfer(TOKEN_PROGRAM, mint, issuer, receiver, amount, decimals)
    holding = make_token_transfer(moved)[0]
    issue = Instruction(
        TOKEN_PROGRAM,
        bytes((_MINT_TO,)) + amount.to_bytes(8, "little"),
        [
            AccountMeta(mint, False, True),
            AccountMeta(derive_holding(receiver, mint, TOKEN_PROGRAM), False, True),
            AccountMeta(issuer, True, False),
        ],
    )
    return [creation, initialization, holding, issue]
