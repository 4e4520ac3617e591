"""A chain in the hands of a test: accounts by name, contracts, time, snapshots.

::

    def test_counter(chain):
        counter = chain.deploy("counter.wasm", init=("new", {}))
        alice = chain.account("alice")
        alice.call(counter, "increment", {"by": 3})
        assert counter.view("get") == 3
        with reverts("too much"):
            alice.call(counter, "increment", {"by": 300})

Everything goes through JSON-RPC, as it will on a public network.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from hither.chain.genesis import DEVELOPMENT_ACCOUNTS, DEVELOPMENT_VALIDATOR, derive_development_key
from hither.client import (
    Client,
    ClientError,
    ContractFailed,
    ExecutionFailed,
    InvalidRequest,
    InvalidTransaction,
    Signer,
    TransactionResult,
    actions,
)
from hither.client.actions import DEFAULT_GAS, Amount, Args
from hither.client.trace import Trace, trace_transaction
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import compute_public_key
from hither.primitives.action import Action
from hither.primitives.types import AccountId

ACCOUNT_BALANCE: Final = "1000 N"
CONTRACT_BALANCE: Final = "100 N"
NS_PER_SECOND: Final = 10**9


class Reverted:
    """What ``reverts`` makes; ``error`` is what it saw, set when the block has ended."""

    error: ExecutionFailed | ContractFailed | InvalidTransaction

    def __init__(self, message: str) -> None:
        self.message = message

    def __enter__(self) -> "Reverted":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            expected = f"; expected {self.message!r}" if self.message else ""
            raise AssertionError(f"nothing failed{expected}")
        if not isinstance(error, (ExecutionFailed, ContractFailed, InvalidTransaction)):
            return False
        if self.message not in str(error):
            raise AssertionError(f"failed, but not with {self.message!r}: {error}") from error
        self.error = error
        return True


def reverts(message: str = "") -> Reverted:
    """Expect that a call fails, and that this is in what it says.

    Raises AssertionError if nothing fails, or something says something else. Anything that is no failure on the
    chain (a wrong name, a lost connection) is raised as it is.
    """
    return Reverted(message)


class Account:
    """An account whose key the test has."""

    def __init__(self, chain: "Chain", account_id: str) -> None:
        self.id = account_id
        self.signer = Signer(account_id, derive_development_key(account_id))
        self._chain = chain

    def __repr__(self) -> str:
        return f"Account({self.id})"

    @property
    def balance(self) -> int:
        """In yoctonear."""
        return self._chain.client.get_account(self.id).amount

    @property
    def public_key(self) -> str:
        """Of its full-access key."""
        return public_key_to_str(compute_public_key(derive_development_key(self.id)))

    def send(self, receiver: "Account | Contract | str", *batch: Action) -> TransactionResult:
        """These actions as one transaction: all of them happen or none. Raises ``ExecutionFailed``."""
        return self._chain.send(self.signer, get_id(receiver), *batch)

    def transfer(self, receiver: "Account | Contract | str", amount: Amount) -> TransactionResult:
        """Move money."""
        return self.send(receiver, actions.transfer(amount))

    def call(
        self,
        contract: "Account | Contract | str",
        method: str,
        args: Args = None,
        *,
        deposit: Amount = "0 N",
        gas: str = DEFAULT_GAS,
    ) -> TransactionResult:
        """Call a contract's method. Raises ``ExecutionFailed`` when it panics."""
        return self.send(contract, actions.function_call(method, args, gas=gas, deposit=deposit))


class Contract:
    """A contract that was deployed."""

    def __init__(self, chain: "Chain", account: Account) -> None:
        self.account = account
        self.id = account.id
        self._chain = chain

    def __repr__(self) -> str:
        return f"Contract({self.id})"

    def view(self, method: str, args: Args = None) -> Any:
        """What a method that cannot write returns, read as JSON. Raises ``ContractFailed``."""
        return self._chain.client.view(self.id, method, args).json()


class Chain:
    """A development chain, its funded accounts, its clock."""

    def __init__(self, url: str) -> None:
        self.client = Client(url)
        self._url = url
        self.results: list[TransactionResult] = []
        funded = (DEVELOPMENT_VALIDATOR, *DEVELOPMENT_ACCOUNTS)
        self._accounts = {account_id: Account(self, account_id) for account_id in funded}

    def __repr__(self) -> str:
        return f"Chain({self._url})"

    def close(self) -> None:
        """Close the connections."""
        self.client.close()

    # Accounts and contracts

    def account(self, name: str) -> Account:
        """The account of this name, funded: ``alice`` is ``alice.near``, which the chain begins with; any other
        name becomes ``NAME.test.near`` when it is first asked for. A name with a dot is an account id.
        """
        for account_id in (name, f"{name}.near", f"{name}.{DEVELOPMENT_VALIDATOR}"):
            if account_id in self._accounts:
                return self._accounts[account_id]
        return self._create(name if "." in name else f"{name}.{DEVELOPMENT_VALIDATOR}", ACCOUNT_BALANCE)

    def deploy(
        self,
        code: Path | str | bytes,
        name: str | None = None,
        *,
        init: tuple[str, Args] | None = None,
        balance: Amount = CONTRACT_BALANCE,
    ) -> Contract:
        """Make an account with this code and call ``init``, all in one transaction.

        ``code`` is wasm or a path to it. The account is ``NAME.test.near``; the name is that of the file unless one
        is given. Code is compiled once, whichever test comes first. Raises ``ExecutionFailed`` and ``InvalidRequest``.
        """
        if isinstance(code, bytes):
            wasm, own_name = code, "contract"
        else:
            wasm, own_name = read_wasm(Path(code)), make_name(Path(code).stem)
        account_id = f"{name or own_name}.{DEVELOPMENT_VALIDATOR}"
        batch: list[Action] = [actions.deploy(wasm)]
        if init is not None:
            batch.append(actions.function_call(init[0], init[1], gas="300 Tgas"))
        return Contract(self, self._create(account_id, balance, *batch))

    def _create(self, account_id: str, balance: Amount, *batch: Action) -> Account:
        parent = self._accounts.get(account_id.partition(".")[2])
        if parent is None:
            raise InvalidRequest(
                f"{account_id}: only the account after the first dot can make it; ask for that first"
            )
        account = Account(self, account_id)
        first = (
            actions.create_account(),
            actions.transfer(balance),
            actions.add_full_access_key(account.public_key),
        )
        parent.send(account_id, *first, *batch)
        self._accounts[account_id] = account
        return account

    def send(self, signer: Signer, receiver_id: str, *batch: Action) -> TransactionResult:
        """Send, and remember the result for whoever asks why a test failed."""
        try:
            result = self.client.send(receiver_id, *batch, signer=signer)
        except ExecutionFailed as error:
            self.results.append(error.result)
            raise
        self.results.append(result)
        return result

    def get_whole(self, result: TransactionResult) -> dict[str, Any]:
        """A transaction with all its receipts, those of the last blocks included."""
        params = {"tx_hash": result.hash, "sender_account_id": "system", "wait_until": "NONE"}
        whole: dict[str, Any] = self._call("EXPERIMENTAL_tx_status", params)
        return whole

    def trace(self, result: TransactionResult) -> Trace:
        """The same with what each receipt wrote: ``changes`` by receipt; ``render_trace`` makes lines of it."""
        return trace_transaction(self.get_whole(result), self._call, (ClientError,))

    # Time

    @property
    def height(self) -> int:
        """Of the newest block."""
        return self.client.get_block().height

    @property
    def now(self) -> datetime:
        """The time of the newest block."""
        return datetime.fromtimestamp(self.client.get_block().timestamp_ns / NS_PER_SECOND, UTC)

    def advance(self, *, blocks: int = 0, seconds: float = 0) -> None:
        """Let blocks be made, or time pass with a block at its end; at once either way."""
        if blocks:
            self._call("hither_mine", {"count": blocks})
        if seconds:
            now_ns = self.client.get_block().timestamp_ns
            self._call("hither_set_time", {"timestamp_nanosec": now_ns + round(seconds * NS_PER_SECOND)})
            self._call("hither_mine", {"count": 1})

    # Snapshots

    @contextlib.contextmanager
    def anchor(self) -> Iterator[None]:
        """Whatever happens within has not happened afterwards."""
        snapshot = self._call("hither_snapshot", None)["snapshot_id"]
        known, results = dict(self._accounts), len(self.results)
        try:
            yield
        finally:
            self._call("hither_revert", [snapshot])
            self._accounts = known
            del self.results[results:]
            self.client.session.forget_block_hash()
            for account in known.values():
                account.signer.forget_nonces()

    def _call(self, method: str, params: Any) -> Any:
        return self.client.run(self.client.session.read(method, params))


def get_id(receiver: Account | Contract | str) -> AccountId:
    """The account id of anything that has one."""
    return AccountId(receiver if isinstance(receiver, str) else receiver.id)


def read_wasm(path: Path) -> bytes:
    """The code in a file. Raises ``InvalidRequest``."""
    try:
        return path.read_bytes()
    except OSError as error:
        reason = f"{path.absolute()}: {error.strerror}"
        raise InvalidRequest(f"{reason}; `hither contracts build` says where it puts the wasm") from None


def make_name(stem: str) -> str:
    """A name for an account from the name of a file."""
    return re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-") or "contract"
