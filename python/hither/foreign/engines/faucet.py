"""Money for nothing on development chains, over the endpoint that everybody uses."""

import asyncio
from typing import Any, Final

from hither.foreign.caip import ChainId
from hither.foreign.errors import EndpointError, EngineError
from hither.foreign.transport import JsonRpc

ARRIVAL_SECONDS_MAX: Final = 30.0
_POLL_SECONDS: Final = 0.02


async def fund(chain: ChainId, url: str, address: str, amount: int) -> str:
    """Pay an address from the chain's faucet; returns the transaction's id once the money is there.

    Raises ``EngineError`` when the faucet refuses.
    """
    faucet = {"bip122": _fund_bitcoin, "eip155": _fund_evm, "solana": _fund_solana}.get(chain.namespace)
    if faucet is None:
        raise EngineError(f"no faucet is known for {chain}")
    rpc = JsonRpc(url)
    try:
        return await faucet(rpc, address, amount)
    except EndpointError as error:
        raise EngineError(
            f"the faucet of {chain} did not pay {address}: {error}",
            hint="ask it for less, or in several parts",
        ) from error
    finally:
        await rpc.close()


async def _fund_bitcoin(rpc: JsonRpc, address: str, amount: int) -> str:
    return str(await rpc.call("hither_fund", [address, amount], is_repeatable=False))


async def _fund_evm(rpc: JsonRpc, address: str, amount: int) -> str:
    accounts = await rpc.call("eth_accounts")
    if not isinstance(accounts, list) or not accounts:
        raise EngineError(
            f"{rpc.host} keeps no accounts that pay for nothing",
            hint="only development chains have a faucet; send coins from an account that has some",
        )
    transfer = {"from": accounts[0], "to": address, "value": hex(amount)}
    # One call that answers with the receipt; mining is asynchronous otherwise.
    receipt = await rpc.call("eth_sendTransactionSync", [transfer], is_repeatable=False)
    if receipt["status"] != "0x1":
        raise EngineError(f"the faucet did not pay {amount} wei to {address}")
    return str(receipt["transactionHash"])


async def _fund_solana(rpc: JsonRpc, address: str, amount: int) -> str:
    signature = await rpc.call("requestAirdrop", [address, amount], is_repeatable=False)
    for _ in range(int(ARRIVAL_SECONDS_MAX / _POLL_SECONDS)):
        answer: dict[str, Any] = await rpc.call("getSignatureStatuses", [[signature]])
        status = answer["value"][0]
        if status is not None:
            if status["err"] is not None:
                raise EngineError(f"the faucet did not pay {amount} lamports to {address}: {status['err']}")
            return str(signature)
        await asyncio.sleep(_POLL_SECONDS)
    raise EngineError(f"the faucet did not pay {amount} lamports to {address} in {ARRIVAL_SECONDS_MAX:g} s")
