"""The Solana chain for development without its socket: what it keeps, how it goes back, which nonces it takes."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from solders.account import Account
from solders.address_lookup_table_account import AddressLookupTableAccount
from solders.hash import Hash
from solders.instruction import AccountMeta, Instruction
from solders.keypair import Keypair
from solders.message import Message, MessageV0
from solders.pubkey import Pubkey
from solders.system_program import (
    AdvanceNonceAccountParams,
    CreateAccountParams,
    CreateLookupTableParams,
    ExtendLookupTableParams,
    TransferParams,
    advance_nonce_account,
    create_account,
    create_lookup_table,
    create_nonce_account,
    extend_lookup_table,
    transfer,
)
from solders.transaction import VersionedTransaction

from hither.foreign.engines import UnknownSnapshot, solana_chain
from hither.foreign.engines.solana_chain import Refused, SolanaChain
from hither.foreign.engines.solana_journal import apply_change, describe_change
from hither.foreign.errors import EngineError

SOL = 10**9
ALICE, BOB = (Keypair.from_seed(sha256(name).digest()) for name in (b"alice", b"bob"))


class Clock:
    """Time that passes when told."""

    def __init__(self) -> None:
        self.seconds = 1_800_000_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def chain(tmp_path: Path, clock: Clock) -> Iterator[SolanaChain]:
    """Fresh, with ten SOL of alice's."""
    chain = SolanaChain(clock, tmp_path / "solana")
    chain.airdrop(ALICE.pubkey(), 10 * SOL)
    yield chain
    chain.close()


def reopen(chain: SolanaChain, clock: Clock, home: Path) -> SolanaChain:
    """As after SIGKILL: nothing more is written."""
    chain._journal.close()
    chain._is_closed = True
    return SolanaChain(clock, home)


def look(chain: SolanaChain, *addresses: Pubkey) -> tuple[Any, ...]:
    """All that a client can ask for."""
    accounts = [chain.get_account(address) for address in (ALICE.pubkey(), BOB.pubkey(), *addresses)]
    histories = [list(chain.get_signatures(str(one.pubkey()))) for one in (ALICE, BOB)]
    return chain.slot, accounts, dict(chain.records), histories, chain.transaction_count


def make_payment(
    chain: SolanaChain, lamports: int = SOL, blockhash: Hash | None = None
) -> VersionedTransaction:
    """Alice's to bob."""
    return make_transaction(chain, [pay(lamports)], blockhash)


def pay(lamports: int) -> Instruction:
    """Alice's payment to bob."""
    return transfer(TransferParams(from_pubkey=ALICE.pubkey(), to_pubkey=BOB.pubkey(), lamports=lamports))


def make_transaction(
    chain: SolanaChain, instructions: list[Instruction], blockhash: Hash | None = None, *others: Keypair
) -> VersionedTransaction:
    """Signed by alice and others, under the newest blockhash unless one is given."""
    blockhash = blockhash or chain.get_latest_blockhash()[0]
    return VersionedTransaction(
        Message.new_with_blockhash(instructions, ALICE.pubkey(), blockhash), [ALICE, *others]
    )


# A restart


def test_a_restart_keeps_accounts_history_and_blockhashes(
    chain: SolanaChain, clock: Clock, tmp_path: Path
) -> None:
    """A transaction made before it is taken after it, once; one that was taken before it is known."""
    taken, made = make_payment(chain, SOL), make_payment(chain, 2 * SOL)
    chain.send(taken)
    before = look(chain)
    chain = reopen(chain, clock, tmp_path / "solana")
    assert look(chain) == before
    with pytest.raises(Refused, match="AlreadyProcessed"):
        chain.send(taken)
    chain.send(made)
    assert chain.get_balance(BOB.pubkey()) == 3 * SOL
    chain.close()


def test_a_blockhash_grows_old_while_the_chain_is_stopped(
    chain: SolanaChain, clock: Clock, tmp_path: Path
) -> None:
    """Slots pass by the clock, whether or not anybody counts them."""
    good, late = make_payment(chain, SOL), make_payment(chain, 2 * SOL)
    clock.seconds += 149 * 0.4
    chain = reopen(chain, clock, tmp_path / "solana")
    chain.send(good)
    clock.seconds += 5 * 0.4
    with pytest.raises(Refused, match="BlockhashNotFound"):
        chain.send(late)
    chain.close()


def test_slots_that_were_let_pass_stay_passed(chain: SolanaChain, clock: Clock, tmp_path: Path) -> None:
    """Though the clock knows nothing of them."""
    chain.let_pass(1000)
    slot = chain.slot
    chain = reopen(chain, clock, tmp_path / "solana")
    assert chain.slot == slot
    chain.close()


def test_a_torn_journal_loses_only_its_last_transaction(
    chain: SolanaChain, clock: Clock, tmp_path: Path
) -> None:
    """And what is written afterwards is read again."""
    chain.send(make_payment(chain, SOL))
    before = look(chain)
    chain.send(make_payment(chain, 2 * SOL))
    path = tmp_path / "solana/chain.dat"
    chain._journal.close()
    path.write_bytes(path.read_bytes()[:-5])
    chain = reopen(chain, clock, tmp_path / "solana")
    assert look(chain)[1:] == before[1:]
    chain.send(make_payment(chain, SOL))
    assert reopen(chain, clock, tmp_path / "solana").get_balance(BOB.pubkey()) == 2 * SOL


# Going back


def test_going_back_restores_everything(chain: SolanaChain) -> None:
    """Slot, accounts, history; and the same payment can be made again."""
    payment = make_payment(chain, SOL)
    chain.snapshot("first")
    before = look(chain)
    chain.send(payment)
    chain.let_pass(20)
    assert look(chain) != before
    chain.revert("first")
    assert look(chain) == before
    chain.send(payment)
    assert chain.get_balance(BOB.pubkey()) == SOL


def test_what_was_made_on_a_forgotten_branch_is_not_taken(chain: SolanaChain) -> None:
    """Its blockhash is of a block that is gone, also when the chain is as high again."""
    chain.snapshot("first")
    chain.let_pass(10)
    made = make_payment(chain, SOL)
    chain.revert("first")
    chain.let_pass(10)
    with pytest.raises(Refused, match="BlockhashNotFound"):
        chain.send(made)


def test_a_snapshot_is_used_up_with_all_later_ones(chain: SolanaChain) -> None:
    """Earlier ones stay; an unknown one changes nothing."""
    for name in ("first", "second", "third"):
        chain.snapshot(name)
        chain.send(make_payment(chain, SOL))
    before = look(chain)
    with pytest.raises(UnknownSnapshot, match="fourth"):
        chain.revert("fourth")
    assert look(chain) == before
    chain.revert("second")
    for name in ("second", "third"):
        with pytest.raises(UnknownSnapshot):
            chain.revert(name)
    chain.revert("first")
    assert chain.get_balance(BOB.pubkey()) == 0


def test_snapshots_outlive_the_process(chain: SolanaChain, clock: Clock, tmp_path: Path) -> None:
    """And so does having gone back."""
    chain.snapshot("first")
    before = look(chain)
    chain.send(make_payment(chain, SOL))
    chain = reopen(chain, clock, tmp_path / "solana")
    chain.revert("first")
    chain = reopen(chain, clock, tmp_path / "solana")
    assert look(chain) == before
    chain.close()


def test_one_folder_has_one_chain(chain: SolanaChain, clock: Clock, tmp_path: Path) -> None:
    """The second is refused."""
    with pytest.raises(EngineError, match="in use"):
        SolanaChain(clock, tmp_path / "solana")


def test_what_is_forgotten_leaves_the_journal(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The accounts that it made stay, and the count goes on."""
    monkeypatch.setattr(solana_chain, "HISTORY_MAX", 5)
    chain = SolanaChain(clock, tmp_path)
    chain.airdrop(ALICE.pubkey(), 10 * SOL)
    for lamports in range(SOL, SOL + 15):
        chain.send(make_payment(chain, lamports))
    before, size = look(chain), (tmp_path / "chain.dat").stat().st_size
    for _ in range(2):
        chain = reopen(chain, clock, tmp_path)
        assert look(chain) == before
    assert (tmp_path / "chain.dat").stat().st_size < size / 2
    assert len(chain.records) == 5
    chain.close()


@given(
    st.binary(max_size=3000) | st.just(bytes(2000)),
    st.integers(0, 2999),
    st.binary(min_size=1, max_size=40),
)
def test_a_change_of_an_account_is_written_and_read_again(data: bytes, place: int, piece: bytes) -> None:
    """Also of a long one, of which only a piece is written."""
    address, owner = Pubkey(bytes(32)), Pubkey(b"\1" * 32)
    place %= len(data) + 1
    changed = (data[:place] + piece + data[place + len(piece) :])[: max(len(data), 1)]
    before = Account(5, data, owner)
    for after in (Account(6, changed, owner), Account(5, changed + piece, owner), Account(5, b"", owner)):
        change = describe_change(address, before, after)
        if after == before:
            assert change is None
        else:
            assert change is not None
            assert apply_change(change, before) == after
            if len(data) > 1024 and len(after.data) == len(data):
                assert len(change.piece) <= len(piece)
    assert describe_change(address, before, None) is not None


# Durable nonces


def make_nonce(chain: SolanaChain) -> Keypair:
    """Alice's."""
    nonce = Keypair.from_seed(sha256(b"nonce").digest())
    made = create_nonce_account(ALICE.pubkey(), nonce.pubkey(), ALICE.pubkey(), SOL)
    assert chain.send(make_transaction(chain, list(made), None, nonce)).error is None
    return nonce


def read_nonce(chain: SolanaChain, nonce: Keypair) -> Hash:
    """What a transaction names in place of a blockhash."""
    account = chain.get_account(nonce.pubkey())
    assert account is not None
    return Hash(bytes(account.data)[40:72])


def advance(nonce: Keypair) -> Instruction:
    """The first instruction of such a transaction."""
    return advance_nonce_account(
        AdvanceNonceAccountParams(nonce_pubkey=nonce.pubkey(), authorized_pubkey=ALICE.pubkey())
    )


def test_a_durable_nonce_does_not_grow_old(chain: SolanaChain, clock: Clock, tmp_path: Path) -> None:
    """Not over a restart either; it is good once."""
    nonce = make_nonce(chain)
    value = read_nonce(chain, nonce)
    payment = make_transaction(chain, [advance(nonce), pay(SOL)], value)
    second = make_transaction(chain, [advance(nonce), pay(2 * SOL)], value)
    chain.let_pass(1000)
    chain = reopen(chain, clock, tmp_path / "solana")
    chain.simulate(payment)
    assert chain.send(payment).error is None
    assert read_nonce(chain, nonce) != value
    with pytest.raises(Refused, match="BlockhashNotFound"):
        chain.send(second)
    assert chain.get_balance(BOB.pubkey()) == SOL
    chain.close()


def test_a_transaction_that_fails_uses_its_nonce_up(chain: SolanaChain) -> None:
    """Else it could be charged for again and again."""
    nonce = make_nonce(chain)
    value = read_nonce(chain, nonce)
    record = chain.send(make_transaction(chain, [advance(nonce), pay(1000 * SOL)], value))
    assert record.error == {"InstructionError": [1, {"Custom": 1}]}
    assert read_nonce(chain, nonce) != value


def test_only_its_authority_uses_a_nonce(chain: SolanaChain) -> None:
    """Bob's signature does not help."""
    nonce = make_nonce(chain)
    chain.airdrop(BOB.pubkey(), SOL)
    theirs = advance_nonce_account(
        AdvanceNonceAccountParams(nonce_pubkey=nonce.pubkey(), authorized_pubkey=BOB.pubkey())
    )
    message = Message.new_with_blockhash([theirs], BOB.pubkey(), read_nonce(chain, nonce))
    with pytest.raises(Refused, match="BlockhashNotFound"):
        chain.send(VersionedTransaction(message, [BOB]))


# Lookup tables


def test_a_lookup_table_is_made_and_used(chain: SolanaChain, clock: Clock, tmp_path: Path) -> None:
    """Under a slot of the last 150; its addresses count from the next slot on, over a restart as well."""
    slot = chain.slot
    chain.let_pass(100)
    made, table = create_lookup_table(
        CreateLookupTableParams(
            authority_address=ALICE.pubkey(), payer_address=ALICE.pubkey(), recent_slot=slot
        )
    )
    extended = extend_lookup_table(
        ExtendLookupTableParams(
            lookup_table_address=table,
            authority_address=ALICE.pubkey(),
            payer_address=ALICE.pubkey(),
            new_addresses=[BOB.pubkey()],
        )
    )
    assert chain.send(make_transaction(chain, [made, extended])).error is None
    chain = reopen(chain, clock, tmp_path / "solana")
    message = MessageV0.try_compile(
        ALICE.pubkey(),
        [pay(SOL)],
        [AddressLookupTableAccount(table, [BOB.pubkey()])],
        chain.get_latest_blockhash()[0],
    )
    assert BOB.pubkey() not in message.account_keys
    record = chain.send(VersionedTransaction(message, [ALICE]))
    assert (record.error, record.writable_loaded) == (None, (str(BOB.pubkey()),))
    assert chain.get_balance(BOB.pubkey()) == SOL
    stale, _ = create_lookup_table(
        CreateLookupTableParams(
            authority_address=ALICE.pubkey(), payer_address=ALICE.pubkey(), recent_slot=slot + 10_000
        )
    )
    record = chain.send(make_transaction(chain, [stale]))
    assert record.error == {"InstructionError": [0, "InvalidInstructionData"]}
    chain.close()


# Programs

LOADER = Pubkey.from_string("BPFLoaderUpgradeab1e11111111111111111111111")
MEMO = Pubkey.from_string("MemoSq4gqABAXKb96qnH8TysNcWxMyWCqXgDLGmfcHr")
CLOCK, RENT = (
    Pubkey.from_string(name)
    for name in (
        "SysvarC1ock11111111111111111111111111111111",
        "SysvarRent111111111111111111111111111111111",
    )
)
BUFFER, PROGRAM = (Keypair.from_seed(sha256(name).digest()) for name in (b"buffer", b"program"))
PIECE_BYTES = 800


def deploy_memo(chain: SolanaChain) -> Pubkey:
    """The memo program's own code, deployed anew under another id as developers do: buffer, pieces, deployment."""
    memo = chain.svm.get_account(MEMO)
    assert memo is not None
    code = bytes(memo.data)
    room = 37 + len(code)
    rent = chain.svm.minimum_balance_for_rent_exemption(room)
    make = create_account(
        CreateAccountParams(
            from_pubkey=ALICE.pubkey(), to_pubkey=BUFFER.pubkey(), lamports=rent, space=room, owner=LOADER
        )
    )
    authority = AccountMeta(ALICE.pubkey(), True, False)
    initialize = Instruction(LOADER, bytes(4), [AccountMeta(BUFFER.pubkey(), False, True), authority])
    steps = [([make, initialize], [BUFFER])]
    for start in range(0, len(code), PIECE_BYTES):
        piece = code[start : start + PIECE_BYTES]
        data = (
            (1).to_bytes(4, "little") + start.to_bytes(4, "little") + len(piece).to_bytes(8, "little") + piece
        )
        accounts = [AccountMeta(BUFFER.pubkey(), False, True), authority]
        steps.append(([Instruction(LOADER, data, accounts)], []))
    data_address = Pubkey.find_program_address([bytes(PROGRAM.pubkey())], LOADER)[0]
    make = create_account(
        CreateAccountParams(
            from_pubkey=ALICE.pubkey(),
            to_pubkey=PROGRAM.pubkey(),
            lamports=chain.svm.minimum_balance_for_rent_exemption(36),
            space=36,
            owner=LOADER,
        )
    )
    accounts = [
        AccountMeta(ALICE.pubkey(), True, True),
        *(AccountMeta(one, False, True) for one in (data_address, PROGRAM.pubkey(), BUFFER.pubkey())),
        *(AccountMeta(one, False, False) for one in (RENT, CLOCK, Pubkey.default())),
        authority,
    ]
    deploy = Instruction(LOADER, (2).to_bytes(4, "little") + len(code).to_bytes(8, "little"), accounts)
    steps.append(([make, deploy], [PROGRAM]))
    for instructions, signers in steps:
        record = chain.send(make_transaction(chain, instructions, None, *signers))
        assert record.error is None, record.outcome["logs"]
    return PROGRAM.pubkey()


def test_a_program_outlives_a_restart(chain: SolanaChain, clock: Clock, tmp_path: Path) -> None:
    """It runs before, after it, and not after going back to before it was deployed."""
    chain.snapshot("before")
    program = deploy_memo(chain)
    call = Instruction(program, b"hello", [AccountMeta(ALICE.pubkey(), True, False)])
    for _ in range(3):
        chain = reopen(chain, clock, tmp_path / "solana")
        chain.let_pass(1)  # A program runs from the slot after its deployment on.
        record = chain.send(make_transaction(chain, [call]))
        assert record.error is None, record.outcome["logs"]
        assert record.outcome["logs"][0].startswith(f"Program {program} invoke")
    chain.revert("before")
    assert chain.get_account(program) is None
    with pytest.raises(Refused, match="InvalidProgramForExecution"):
        chain.simulate(make_transaction(chain, [call]))
    chain.close()
