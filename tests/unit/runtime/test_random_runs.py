"""Random transactions over three shards: no money appears or disappears, at any version.

``World`` counts all money in state and in flight after every height, and each
chunk asserts its own equation; a third check is that the same run gives the same roots.
"""

import random
from collections.abc import Callable

import pytest

from hither.primitives.account import (
    AccessKey,
    DeployMode,
    FullAccess,
    FunctionCallPermission,
    GasKeyFullAccess,
    GasKeyInfo,
    GlobalContractByAccount,
)
from hither.primitives.action import (
    Action,
    AddKey,
    CreateAccount,
    DeleteAccount,
    DeleteKey,
    DeployContract,
    DeployGlobalContract,
    FunctionCall,
    Stake,
    Transfer,
    TransferToGasKey,
    UseGlobalContract,
    WithdrawFromGasKey,
)
from hither.primitives.transaction import SignedTransaction
from hither.primitives.types import AccountId, Balance, Gas, Nonce
from tests.unit.runtime import programs
from tests.unit.runtime.world import NEAR, TGAS, World, make_key

USERS = ("alice.near", "bob.near", "heidi.near", "mallory.near", "peggy.near", "zoe.near")
CONTRACTS = ("ex.near", "other.near", "zed.near")
SMALL_CODE = b"\0asm\x01\0\0\0"


class Chaos:
    """A source of transactions, good and bad."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.random = random.Random(seed)

    def pick_account(self) -> str:
        names = (*USERS, *CONTRACTS, "missing.near", make_key("implicit").data.hex(), "0s" + "ab" * 20)
        return self.random.choice((*names, "0x" + "cd" * 20, "0u" + "0" * 52))

    def pick_amount(self) -> int:
        return self.random.choice([0, 1, 5, NEAR // 1000, NEAR, 50 * NEAR, 2000 * NEAR])

    def make_program(self, depth: int = 0) -> bytes:
        """A contract's program: writes, transfers, calls with callbacks, yields, panics."""
        steps = []
        promises = 0
        for _ in range(self.random.randrange(4)):
            kind = self.random.randrange(6 if depth < 2 else 2)
            if kind == 0:
                steps.append(programs.storage_write(self.random.randbytes(4), self.random.randbytes(40)))
            elif kind == 1:
                steps.append(programs.value_return(self.random.randbytes(20)))
            elif kind == 2:
                steps.append(programs.promise_batch_create(self.pick_account()))
                steps.append(programs.batch_transfer(promises, self.pick_amount()))
                promises += 1
            elif kind in (3, 4):
                inner, target = self.make_program(depth + 1), self.random.choice(CONTRACTS)
                deposit = self.pick_amount()
                steps.append(programs.promise_create(target, "run", inner, deposit, 20 * TGAS))
                callback = self.make_program(depth + 1)
                steps.append(programs.promise_then(promises, target, "run", callback, 0, 10 * TGAS))
                promises += 2
            else:
                steps.append(programs.promise_yield_create("run", b"", 5 * TGAS, 0, 0))
                promises += 1
        if promises and self.random.random() < 0.3:
            steps.append(programs.promise_return(promises - 1))
        if self.random.random() < 0.15:
            steps.append(programs.PANIC)
        return b"".join(steps)

    def make_deletion(self) -> Action:
        """Rarely: whoever is deleted signs no more."""
        if self.random.random() < 0.9:
            return Transfer(Balance(1))
        return DeleteAccount(AccountId(self.pick_account()))

    def make_action(self) -> Action:
        key = make_key(self.random.choice(["one", "two", "three"]))
        gas = Gas(self.random.choice([1, TGAS, 100 * TGAS, 300 * TGAS]))
        makers: list[Callable[[], Action]] = [
            lambda: Transfer(Balance(self.pick_amount())),
            lambda: FunctionCall("run", self.make_program(), gas, Balance(self.pick_amount())),
            lambda: FunctionCall("run", self.make_program(), Gas(300 * TGAS), Balance(0)),
            lambda: AddKey(key, AccessKey(Nonce(0), FullAccess())),
            lambda: AddKey(
                key, AccessKey(Nonce(0), FunctionCallPermission(Balance(self.pick_amount()), "ex.near", ()))
            ),
            lambda: DeleteKey(key),
            lambda: Stake(Balance(self.pick_amount()), key),
            lambda: CreateAccount(),
            self.make_deletion,
            lambda: DeployContract(self.random.choice([SMALL_CODE, programs.get_exerciser()])),
            lambda: DeployGlobalContract(SMALL_CODE, self.random.choice(list(DeployMode))),
            lambda: UseGlobalContract(GlobalContractByAccount(AccountId(self.random.choice(USERS)))),
            lambda: AddKey(key, AccessKey(Nonce(0), GasKeyFullAccess(GasKeyInfo(Balance(0), 2)))),
            lambda: TransferToGasKey(key, Balance(self.pick_amount())),
            lambda: WithdrawFromGasKey(key, Balance(self.pick_amount())),
        ]
        return self.random.choice(makers)()

    def make_transaction(self) -> SignedTransaction:
        signer = self.random.choice(USERS)
        receiver = signer if self.random.random() < 0.3 else self.pick_account()
        actions = [self.make_action() for _ in range(self.random.choice([1, 1, 1, 2, 4]))]
        return self.world.sign(signer, receiver, *actions)


def run(version: int, seed: int, heights: int) -> World:
    world = World(version, accounts=USERS, boundaries=("f", "p"))
    for name in CONTRACTS:
        world.put_contract(name, programs.get_exerciser())
    chaos = Chaos(world, seed)
    for _ in range(heights):
        world.gas_price = chaos.random.choice([10**8, 10**9, 5 * 10**9])
        world.gas_limit = chaos.random.choice([10**15, 5 * 10**12])
        world.step(*[chaos.make_transaction() for _ in range(chaos.random.randrange(8))])
    world.gas_limit = 10**15
    world.run(heights=200)
    world.height += 300
    world.run(heights=200)
    return world


@pytest.mark.parametrize("version", [84, 85, 86, 87, 88])
def test_money_is_conserved(version: int) -> None:
    first = run(version, seed=version, heights=40)
    again = run(version, seed=version, heights=40)
    assert [trie.root for trie in first.tries.values()] == [trie.root for trie in again.tries.values()]


@pytest.mark.long
@pytest.mark.parametrize("seed", range(30))
def test_money_is_conserved_for_long(seed: int) -> None:
    run(84 + seed % 5, seed=1000 + seed, heights=300)
