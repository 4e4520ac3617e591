"""The account without ``await``: the same methods, for programs that have no event loop."""

import asyncio
import threading
from collections.abc import Coroutine, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from hither.foreign.caip import ChainId
from hither.foreign.evm_calls import EvmCall
from hither.foreign.solana_instructions import SolanaCall
from hither.sdk.account import NOTHING, Account, Call, DerivedAddress, OnChain, Payment
from hither.sdk.amounts import Amount, Units
from hither.sdk.events import Progress, say_nothing
from hither.sdk.journal import Record
from hither.sdk.network import Network
from hither.sdk.work import Sent

T = TypeVar("T")


class _Loop:
    """An event loop in a thread of its own, which ends with the program."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="hither account", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Its result; Ctrl-C ends it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        self.run(_end_others())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


async def _end_others() -> None:
    """Requests that ran beside one that failed may still wait for their answers."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


class BlockingAccount:
    """An account of our chain, on every chain of a network. Made by ``load``."""

    def __init__(self, inner: Account, loop: _Loop) -> None:
        self._inner = inner
        self._loop = loop

    @classmethod
    def load(
        cls,
        account_id: str,
        *,
        network: Network | None = None,
        secret_key: str | None = None,
        home: str | Path | None = None,
    ) -> "BlockingAccount":
        """As ``Account.load``."""
        loop = _Loop()
        try:
            inner = loop.run(Account.load(account_id, network=network, secret_key=secret_key, home=home))
        except BaseException:
            loop.close()
            raise
        return cls(inner, loop)

    def __enter__(self) -> "BlockingAccount":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self._loop.run(self._inner.close())
        self._loop.close()

    @property
    def account_id(self) -> str:
        """Its name on our chain."""
        return self._inner.account_id

    @property
    def chains(self) -> tuple[str, ...]:
        """Every chain of the network, ours first."""
        return self._inner.chains

    def on(self, chain: str | ChainId, *, path: str | None = None) -> "BlockingOnChain":
        """As ``Account.on``."""
        return BlockingOnChain(self._inner.on(chain, path=path), self._loop)

    def list_addresses(self, paths: Sequence[str] = ()) -> list[DerivedAddress]:
        """As ``Account.list_addresses``."""
        return self._loop.run(self._inner.list_addresses(paths))

    def list_transfers(self, *, is_open: bool = True) -> list[Record]:
        """As ``Account.list_transfers``."""
        return self._inner.list_transfers(is_open=is_open)

    def resume(self, progress: Progress = say_nothing) -> list[Sent]:
        """As ``Account.resume``."""
        return self._loop.run(self._inner.resume(progress))

    def bump(self, transfer_id: str, progress: Progress = say_nothing) -> Sent:
        """As ``Account.bump``."""
        return self._loop.run(self._inner.bump(transfer_id, progress))


class BlockingOnChain:
    """An account on one chain. Made by ``BlockingAccount.on``."""

    def __init__(self, inner: OnChain, loop: _Loop) -> None:
        self._inner = inner
        self._loop = loop
        self.chain = inner.chain
        self.path = inner.path

    def format(self, amount: int) -> str:
        """``1.5 ETH``, from the smallest unit."""
        return self._inner.format(amount)

    def address(self) -> str:
        """As ``OnChain.address``."""
        return self._loop.run(self._inner.address())

    def balance(self) -> Units:
        """As ``OnChain.balance``."""
        return self._loop.run(self._inner.balance())

    def nonce(self) -> int:
        """As ``OnChain.nonce``."""
        return self._loop.run(self._inner.nonce())

    def fund(self, amount: Amount) -> str:
        """As ``OnChain.fund``."""
        return self._loop.run(self._inner.fund(amount))

    def send(
        self, receiver: str, amount: Amount, *, reference: str | None = None, progress: Progress = say_nothing
    ) -> Sent:
        """As ``OnChain.send``."""
        return self._loop.run(self._inner.send(receiver, amount, reference=reference, progress=progress))

    def call(
        self,
        contract: str,
        method: str | bytes,
        *arguments: Any,
        amount: Amount = NOTHING,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> Sent:
        """As ``OnChain.call``."""
        return self._loop.run(
            self._inner.call(
                contract, method, *arguments, amount=amount, reference=reference, progress=progress
            )
        )

    def act(
        self,
        call: EvmCall | SolanaCall | Sequence[SolanaCall],
        *,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> Sent:
        """As ``OnChain.act``."""
        return self._loop.run(self._inner.act(call, reference=reference, progress=progress))

    def send_token(
        self,
        token: str,
        receiver: str,
        amount: Units,
        *,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> Sent:
        """As ``OnChain.send_token``."""
        return self._loop.run(
            self._inner.send_token(token, receiver, amount, reference=reference, progress=progress)
        )

    def view(self, contract: str, method: str, *arguments: Any) -> Any:
        """As ``OnChain.view``."""
        return self._loop.run(self._inner.view(contract, method, *arguments))

    def batch(
        self,
        parts: Sequence[Payment | Call],
        *,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> list[Sent]:
        """As ``OnChain.batch``."""
        return self._loop.run(self._inner.batch(parts, reference=reference, progress=progress))
