"""One account on every chain."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from hither.client import AsyncClient, ClientError, Signer
from hither.client.actions import parse_account_id
from hither.codec import base58
from hither.foreign.adapter import Adapter, Scheme
from hither.foreign.caip import ChainId, parse_chain_id
from hither.foreign.errors import (
    ForeignError,
    InsufficientFunds,
    InvalidAmount,
    InvalidArguments,
    TransactionDropped,
    TransactionFailed,
)
from hither.foreign.evm import EvmAdapter
from hither.foreign.evm_abi import encode_call
from hither.foreign.evm_calls import EvmCall, transfer_token
from hither.foreign.solana import SolanaAdapter
from hither.foreign.solana_instructions import SolanaAccount, SolanaCall
from hither.mpc.client import SigningClient, SigningFailed
from hither.sdk.amounts import Amount, Units, parse_amount, round_up
from hither.sdk.endpoints import NoKey, read_keys, resolve_home
from hither.sdk.events import Event, Progress, Step, say_nothing
from hither.sdk.home_transfers import NEAR, HomeTransfer
from hither.sdk.journal import Entry, Journal, Record, TransferBusy
from hither.sdk.network import Network, UnknownChain
from hither.sdk.transfers import Means, Transfer
from hither.sdk.work import NotOnThisChain, Sent

PATHS: Final = {"eip155": "ethereum-1", "bip122": "bitcoin-1", "solana": "solana-1"}
"""The usual derivation path of a family: all its chains share an address. Of others, ``NAMESPACE-1``."""

NOTHING: Final = Units(0)
_LOCK_POLL_SECONDS: Final = 0.005


def get_path(chain: ChainId) -> str:
    """The usual derivation path there."""
    return PATHS.get(chain.namespace, f"{chain.namespace}-1")


@dataclass(frozen=True, slots=True)
class Payment:
    """Part of a batch: the chain's coin to an address."""

    receiver: str
    """An address of the chain; on our own an account. A wrong one raises before anything is written."""
    amount: Amount
    """``"0.5 ETH"``, or ``Units(5)`` for five of the smallest unit."""


@dataclass(frozen=True, slots=True)
class Call:
    """Part of a batch: a contract's method, with arguments, and with coins if it takes some."""

    contract: str
    """Its address; on our own chain its account; on Solana the program."""
    method: str | bytes
    """EVM: ``"transfer(address,uint256)"``. Our chain: its name. Solana: the instruction's data."""
    arguments: tuple[Any, ...] = ()
    """EVM: values of those types. Our chain: one dictionary. Solana: ``SolanaAccount`` in the program's order."""
    amount: Amount = NOTHING
    """Coins that go along; none on Solana."""


@dataclass(frozen=True, slots=True)
class DerivedAddress:
    """Where an account is on a chain, and everything that it follows from."""

    account_id: str
    """Whose: a name on our chain, which need not exist."""
    path: str
    """The derivation path, as requests for signatures name it."""
    chain: str
    """Its CAIP-2 id."""
    address: str
    """In the chain's usual form."""
    domain_id: int
    """Of the signing network's keys: 0 signs for secp256k1, 1 for ed25519."""
    public_key: str
    """The derived key, ``secp256k1:`` (compressed) or ``ed25519:`` and base58."""


class Account:
    """An account of our chain, on every chain of a network. Made by ``load``; close it, or use it with ``async with``.

    Mistakes raise before anything is written or sent. Everything else that can go wrong abroad is a ``ForeignError``
    (``code``, ``retryable``, ``hint``), on our chain a ``ClientError``; a signing network that gives no signature is
    ``SigningFailed``. The page of errors lists them all.
    """

    def __init__(self, network: Network, signer: Signer) -> None:
        self.network = network
        """Where everything answers."""
        self.signer = signer
        """The account's key on our chain, which asks for every signature abroad."""
        self.client: AsyncClient = AsyncClient(network.rpc_url)
        """Of our chain alone."""
        self._signing = SigningClient(self.client, network.contract_id)
        self._adapters: dict[ChainId, Adapter] = {}
        folder = network.journal_folder or resolve_home(None) / "transfers"
        self.journal: Journal = Journal(folder, signer.account_id)
        """Its transfers on disk."""

    @classmethod
    async def load(
        cls,
        account_id: str,
        *,
        network: Network | None = None,
        secret_key: str | None = None,
        home: str | Path | None = None,
    ) -> "Account":
        """An account of the network that runs in a home (else $HITHER_HOME, else ~/.hither), by a key kept there.

        Another network or another key may be given. Raises ``NoNetwork``, ``NoKey``, and ``UnknownAccount`` when the
        chain has no such account.
        """
        parse_account_id(account_id)
        chosen = network or Network.load(home)
        if secret_key is None:
            keys = read_keys(resolve_home(None if home is None else str(home)))
            if account_id not in keys:
                raise NoKey(
                    f"no key of {account_id} is kept here; give secret_key, or name the home that has it"
                )
            secret_key = keys[account_id]
        account = cls(chosen, Signer(account_id, secret_key))
        try:
            await account.client.get_account(account_id)
        except BaseException:
            await account.close()
            raise
        return account

    async def __aenter__(self) -> "Account":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close all connections."""
        await asyncio.gather(*(adapter.close() for adapter in self._adapters.values()))
        await self.client.close()

    @property
    def account_id(self) -> str:
        """Its name on our chain."""
        return self.signer.account_id

    @property
    def chains(self) -> tuple[str, ...]:
        """Every chain of the network, ours first."""
        return (str(self.network.chain), *(str(chain) for chain in self.network.endpoints))

    def on(self, chain: str | ChainId, *, path: str | None = None) -> "OnChain":
        """The account on one chain, by its CAIP-2 id: ``eip155:8453``. Another path is another address.

        Raises ``InvalidChainId``, ``UnknownChain``.
        """
        parsed = parse_chain_id(chain) if isinstance(chain, str) else chain
        if parsed != self.network.chain:
            self.get_adapter(parsed)
        usual = "" if parsed == self.network.chain else get_path(parsed)
        return OnChain(self, parsed, path or usual)

    def get_adapter(self, chain: ChainId) -> Adapter:
        """The adapter of a chain, opened once. Raises UnknownChain."""
        if chain not in self._adapters:
            self._adapters[chain] = self.network.open_adapter(chain)
        return self._adapters[chain]

    async def derive_key(self, chain: ChainId, path: str | None = None) -> bytes:
        """Its compressed public key on a chain."""
        scheme = self.get_adapter(chain).scheme
        return await self._signing.derive_key(self.account_id, path or get_path(chain), scheme.value)

    async def get_address(self, chain: ChainId) -> str:
        """Its address on a chain."""
        return await self.on(chain).address()

    async def list_addresses(self, paths: Sequence[str] = ()) -> list[DerivedAddress]:
        """Every address that the account has on the network's chains: the usual ones, and those of more paths."""
        return await _list_addresses(self.network, self._signing, self.account_id, paths)

    # Transfers

    def list_transfers(self, *, is_open: bool = True) -> list[Record]:
        """From the journal: what has not ended yet, or what has."""
        return self.journal.list(is_open=is_open)

    async def resume(self, progress: Progress = say_nothing) -> list[Sent]:
        """Finish what was interrupted, oldest first; what other processes work on is left to them.

        One that cannot be finished does not stop the others; its error is raised in the end.
        """
        finished: list[Sent] = []
        errors: list[Exception] = []
        for record in self.list_transfers():
            try:
                entry = self.journal.open(record.id)
            except TransferBusy:
                continue
            try:
                finished.append(await self._perform(entry, progress, is_resumed=True))
            except (ClientError, ForeignError, SigningFailed, UnknownChain) as error:
                errors.append(error)
            finally:
                entry.close()
        if len(errors) == 1:
            raise errors[0]
        if errors:
            raise ExceptionGroup(f"{len(errors)} transfers were not finished", errors)
        return finished

    async def bump(self, transfer_id: str, progress: Progress = say_nothing) -> Sent:
        """Pay a higher fee for a transfer that waits for a block, and wait until it is final.

        The new transaction has the nonce or the coins of the old one, so that only one of them can be included; both
        stay in the journal, and ``resume`` follows both. One that a block has already is only followed. Raises
        ``UnknownTransfer``, ``TransferBusy`` (cancel the task that waits; nothing is lost), ``NotOnThisChain`` on
        Solana and our chain, ``BroadcastRefused`` when the chain keeps the old one.
        """
        entry = self.journal.open(transfer_id)
        try:
            if not entry.record.attempts or entry.record.has_ended:
                return await self._perform(entry, progress, is_resumed=True)
            work = self._open_work(entry, progress)
            if not isinstance(work, Transfer):
                raise NotOnThisChain(f"{entry.record.chain} has a fixed price; nothing waits there")
            async with self._chain_to_itself(entry.record.chain):
                with self._naming_faucet(entry.record.chain):
                    await work.bump()
            return await work.follow()
        finally:
            entry.close()

    async def _begin(
        self, on: "OnChain", deed: dict[str, Any], reference: str | None, progress: Progress
    ) -> Sent:
        entry = self.journal.begin(on.chain, on.path, deed, reference)
        try:
            if entry.record.step in ("abandoned", "dropped"):
                entry.write("intended")  # Nothing came of it: the same reference may try again.
            return await self._perform(entry, progress, is_resumed=entry.record.step != "intended")
        finally:
            entry.close()

    async def _perform(self, entry: Entry, progress: Progress, *, is_resumed: bool) -> Sent:
        record = entry.record
        if record.step == "failed":
            raise TransactionFailed(
                record.outcome["message"], hint="it was paid for; a new transfer needs a new reference"
            )
        if record.step in ("abandoned", "dropped"):
            raise TransactionDropped(record.outcome["message"])
        if is_resumed and not record.has_ended:
            progress(Event(record.id, record.chain, Step(record.step), f"goes on after {record.step!r}"))
        work = self._open_work(entry, progress)
        if not record.has_ended:
            async with self._chain_to_itself(record.chain):
                await self._settle_earlier(record, progress)
                with self._naming_faucet(record.chain):
                    await work.bring_to_chain()
        return await work.follow()

    def _open_work(self, entry: Entry, progress: Progress) -> Transfer | HomeTransfer:
        if entry.record.chain == self.network.chain:
            return HomeTransfer(self.client, self.signer, entry, progress)
        network = self.network
        means = Means(self.client, self._signing, self.signer, network.chain, network.final_timeout_seconds)
        return Transfer(means, self.get_adapter(entry.record.chain), entry, progress)

    @contextlib.asynccontextmanager
    async def _chain_to_itself(self, chain: ChainId) -> AsyncIterator[None]:
        """One transfer at a time is built and sent on a chain: two would take the same nonce or coins."""
        while (lock := self.journal.lock_chain(chain)) is None:
            await asyncio.sleep(_LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            lock.close()

    @contextlib.contextmanager
    def _naming_faucet(self, chain: ChainId) -> Iterator[None]:
        """Who has too few coins of a development chain is told how to get them."""
        try:
            yield
        except InsufficientFunds as error:
            endpoint = self.network.endpoints.get(chain)
            if error.address is not None and endpoint is not None and endpoint.has_faucet:
                amount = self.get_adapter(chain).coin.format(
                    round_up(error.needed - error.balance + error.spare)
                )
                error.hint = f'{error.hint}: `hither fund {chain} "{amount}" --to {error.address}`'
            raise

    async def _settle_earlier(self, record: Record, progress: Progress) -> None:
        """Bring what was built before a crash of ours or of a node first, or its nonce and coins would be taken."""
        if record.body is not None or record.chain == self.network.chain:
            return
        for earlier in self.journal.list(is_open=True):
            if earlier.id == record.id or earlier.chain != record.chain or earlier.body is None:
                continue
            with contextlib.suppress(TransferBusy, ForeignError):
                entry = self.journal.open(earlier.id)
                try:
                    await self._open_work(entry, progress).bring_to_chain()
                finally:
                    entry.close()


class OnChain:
    """An account on one chain. Made by ``Account.on``."""

    def __init__(self, account: Account, chain: ChainId, path: str) -> None:
        self._account = account
        self.chain = chain
        """Which one."""
        self.path = path
        """The derivation path of the address; another path is another address."""
        self._is_home = chain == account.network.chain

    @property
    def coin_symbol(self) -> str:
        """What fees are paid in, and what ``send`` sends."""
        return NEAR.symbol if self._is_home else self._account.get_adapter(self.chain).coin.symbol

    def format(self, amount: int) -> str:
        """``1.5 ETH``, from the smallest unit."""
        coin = NEAR if self._is_home else self._account.get_adapter(self.chain).coin
        return coin.format(amount)

    async def address(self) -> str:
        """Where others pay, in the chain's usual form. Asks our chain once for the root key, and no other chain."""
        if self._is_home:
            return self._account.account_id
        key = await self._account.derive_key(self.chain, self.path)
        return self._account.get_adapter(self.chain).derive_address(key)

    async def balance(self) -> Units:
        """In the chain's smallest unit; ``format`` makes a text of it. Raises ``ForeignError``, ``ClientError``."""
        if self._is_home:
            state = await self._account.client.get_account(self._account.account_id)
            return Units(state.amount)
        return Units(await self._account.get_adapter(self.chain).fetch_balance(await self.address()))

    async def nonce(self) -> int:
        """How many transactions of the address the chain counts, or, where it keeps no count, has.

        Of Bitcoin's those that left coins which are unspent.
        On our chain the nonce of the account's key. Raises ``ForeignError``, ``ClientError``.
        """
        if self._is_home:
            state = await self._account.client.get_access_key(
                self._account.account_id, self._account.signer.public_key
            )
            return state.nonce
        return await self._account.get_adapter(self.chain).fetch_nonce(await self.address())

    async def fund(self, amount: Amount) -> str:
        """Coins for nothing, from the faucet of a development chain; the transaction's id, when they are there.

        Raises ``NotOnThisChain`` on ours, ``EngineError`` where there is no faucet or it refuses, ``InvalidAmount``.
        """
        if self._is_home:
            raise NotOnThisChain(
                f"{self.chain} has no faucet",
                hint="an account of our chain is paid when it is made, and others can send to it",
            )
        return await self._account.network.fund(self.chain, await self.address(), amount)

    async def send(
        self, receiver: str, amount: Amount, *, reference: str | None = None, progress: Progress = say_nothing
    ) -> Sent:
        """Transfer the chain's own coin and wait until that is final.

        With a ``reference`` the transfer happens once, however often it is asked for: after a crash, asking again goes
        on where it was. Raises ``InvalidAddress`` (``WrongNetwork``) and ``InvalidAmount`` before anything is written;
        ``InsufficientFunds``, after which nothing hangs; ``FinalityTimeout`` and ``TransportError``, after which
        ``resume`` goes on; ``TransactionFailed``, ``TransactionReplaced``, ``TransactionDropped``, which end it;
        ``DifferentIntent`` when the reference stands for something else; ``SigningFailed``, ``ClientError``.
        """
        return await self._do(self._pay(receiver, amount), reference, progress)

    async def call(
        self,
        contract: str,
        method: str | bytes,
        *arguments: Any,
        amount: Amount = NOTHING,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> Sent:
        """Call a contract's method and wait until that is final.

        EVM: ``call(token, "transfer(address,uint256)", receiver, 5)``. Our chain: ``call(token, "ft_transfer", {…})``.
        Solana: ``call(program, data, SolanaAccount(address, is_writable=True), …)``, with the data as bytes.
        What would fail is not signed: ``CallReverted`` has the contract's reason. Raises ``InvalidArguments``,
        ``NotOnThisChain`` on Bitcoin, and as ``send``.
        """
        return await self._do(self._call(Call(contract, method, arguments, amount)), reference, progress)

    async def act(
        self,
        call: EvmCall | SolanaCall | Sequence[SolanaCall],
        *,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> Sent:
        """A call that is put together, or an EVM contract's creation; on Solana also several in one transaction.

        Raises as ``call``.
        """
        adapter = self._account.get_adapter(self.chain) if not self._is_home else None
        if not isinstance(call, EvmCall):
            calls = [call] if isinstance(call, SolanaCall) else list(call)
            return await self._do(self._instruct(calls), reference, progress)
        if not isinstance(adapter, EvmAdapter):
            raise NotOnThisChain(f"{self.chain} is no EVM chain")
        deed = {
            "kind": "call",
            "receiver": "" if call.receiver is None else adapter.parse_address(call.receiver),
            "function": "",
            "data": call.data.hex(),
            "amount": call.amount,
        }
        return await self._do(deed, reference, progress)

    async def send_token(
        self,
        token: str,
        receiver: str,
        amount: Units,
        *,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> Sent:
        """Tokens (ERC-20, SPL, NEP-141) in their smallest unit, and wait until that is final.

        On Solana the sender pays for the receiver's account of the token if there is none. Raises as ``call``.
        """
        if not isinstance(amount, Units):
            raise InvalidAmount(
                f"{amount!r} has no unit",
                hint="tokens differ in their decimals; write Units(5) for 5 of the smallest",
            )
        if self._is_home:
            call = Call(token, "ft_transfer", ({"receiver_id": receiver, "amount": str(amount)},), Units(1))
            return await self._do(self._call(call), reference, progress)
        adapter = self._account.get_adapter(self.chain)
        if isinstance(adapter, EvmAdapter):
            return await self.act(
                transfer_token(token, receiver, amount), reference=reference, progress=progress
            )
        if not isinstance(adapter, SolanaAdapter):
            raise NotOnThisChain(f"{self.chain} has no tokens")
        deed = {
            "kind": "token",
            "token": adapter.parse_address(token),
            "receiver": adapter.parse_address(receiver),
            "amount": 0,
            "units": amount,
        }
        return await self._do(deed, reference, progress)

    async def view(self, contract: str, method: str, *arguments: Any) -> Any:
        """What a method that changes nothing returns; on EVM its results are named: ``balanceOf(address)(uint256)``.

        One result as it is, several as a tuple; on our chain what its JSON says. Nothing is signed or paid. Raises
        ``CallReverted``, ``InvalidArguments``, ``NotOnThisChain`` on Bitcoin and Solana, ``ClientError`` on ours.
        """
        if self._is_home:
            state = await self._account.client.view(contract, method, *arguments)
            return state.json()
        adapter = self._account.get_adapter(self.chain)
        if isinstance(adapter, EvmAdapter):
            return await adapter.read(contract, method, arguments)
        raise NotOnThisChain(f"{self.chain} has no contracts to call")

    async def batch(
        self,
        parts: Sequence[Payment | Call],
        *,
        reference: str | None = None,
        progress: Progress = say_nothing,
    ) -> list[Sent]:
        """Several at once: on Bitcoin one transaction pays all; elsewhere one follows the other, and an error ends it.

        With a ``reference``, asking again goes on with the first that is missing. All parts are checked before the
        first is sent. Raises as ``call``.
        """
        deeds = [
            self._pay(part.receiver, part.amount) if isinstance(part, Payment) else self._call(part)
            for part in parts
        ]
        if self.chain.namespace == "bip122" and len(deeds) > 1:
            payments = [[deed["receiver"], deed["amount"]] for deed in deeds]
            return [await self._do({"kind": "pay", "payments": payments}, reference, progress)]
        return [
            await self._do(deed, None if reference is None else f"{reference} {index}", progress)
            for index, deed in enumerate(deeds)
        ]

    async def _do(self, deed: dict[str, Any], reference: str | None, progress: Progress) -> Sent:
        return await self._account._begin(self, deed, reference, progress)

    def _parse(self, amount: Amount) -> int:
        coin = NEAR if self._is_home else self._account.get_adapter(self.chain).coin
        return parse_amount(amount, self.chain.namespace, coin)

    def _pay(self, receiver: str, amount: Amount) -> dict[str, Any]:
        # A mistake in the address is told before anything is written.
        parsed = (
            parse_account_id(receiver)
            if self._is_home
            else self._account.get_adapter(self.chain).parse_address(receiver)
        )
        return {"kind": "send", "receiver": parsed, "amount": self._parse(amount)}

    def _instruct(self, calls: Sequence[SolanaCall]) -> dict[str, Any]:
        """A mistake in an address is told before anything is written."""
        if self.chain.namespace != "solana" or not calls:
            raise NotOnThisChain(f"{self.chain} has no such instructions")
        adapter = self._account.get_adapter(self.chain)
        rows = [
            {
                "program": adapter.parse_address(call.program),
                "data": call.data.hex(),
                "accounts": [
                    [adapter.parse_address(one.address), one.is_writable, one.is_signer]
                    for one in call.accounts
                ],
            }
            for call in calls
        ]
        return {"kind": "instructions", "receiver": rows[0]["program"], "amount": 0, "instructions": rows}

    def _call(self, call: Call) -> dict[str, Any]:
        if self.chain.namespace == "solana":
            return self._call_program(call)
        if not isinstance(call.method, str):
            raise InvalidArguments(f"{self.chain} calls methods by name")
        if self._is_home:
            data = msgspec.json.encode(call.arguments[0] if call.arguments else {})
            receiver: str = parse_account_id(call.contract)
        elif self.chain.namespace == "eip155":
            data = encode_call(call.method, call.arguments)
            receiver = self._account.get_adapter(self.chain).parse_address(call.contract)
        else:
            raise NotOnThisChain(f"{self.chain} has no contracts to call")
        return {
            "kind": "call",
            "receiver": receiver,
            "function": call.method,
            "data": data.hex(),
            "amount": self._parse(call.amount),
        }

    def _call_program(self, call: Call) -> dict[str, Any]:
        if not isinstance(call.method, bytes):
            raise InvalidArguments(
                "a program on Solana takes data, not a method's name",
                hint="call(program, data, SolanaAccount(address), …), with the data as bytes",
            )
        if call.amount != NOTHING:
            raise InvalidArguments("a program takes coins by an instruction of the system program")
        if not all(isinstance(one, SolanaAccount) for one in call.arguments):
            raise InvalidArguments("accounts are given as SolanaAccount(address, is_writable, is_signer)")
        return self._instruct([SolanaCall(call.contract, call.method, call.arguments)])


async def list_addresses_of(
    network: Network, account_ids: Sequence[str], paths: Sequence[str] = ()
) -> list[DerivedAddress]:
    """Addresses of any accounts, which need not exist: they follow from the names and the root keys alone."""
    async with AsyncClient(network.rpc_url) as client:
        signing = SigningClient(client, network.contract_id)
        found = [await _list_addresses(network, signing, parse_account_id(one), paths) for one in account_ids]
    return [row for rows in found for row in rows]


async def _list_addresses(
    network: Network, signing: SigningClient, account_id: str, paths: Sequence[str]
) -> list[DerivedAddress]:
    found = []
    for chain in network.endpoints:
        adapter = network.open_adapter(chain)
        try:
            for path in dict.fromkeys((get_path(chain), *paths)):
                key = await signing.derive_key(account_id, path, adapter.scheme.value)
                kind = "secp256k1" if adapter.scheme is Scheme.ECDSA else "ed25519"
                found.append(
                    DerivedAddress(
                        account_id=account_id,
                        path=path,
                        chain=str(chain),
                        address=adapter.derive_address(key),
                        domain_id=adapter.scheme.value,
                        public_key=f"{kind}:{base58.encode(key)}",
                    )
                )
        finally:
            await adapter.close()
    return found
