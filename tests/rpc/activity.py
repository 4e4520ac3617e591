"""Something of everything on a chain, so that answers have something to tell."""

from pathlib import Path

from hither.chain.genesis import derive_development_key
from hither.client import Client, ExecutionFailed, TransactionResult, Yocto, actions
from hither.crypto.hashing import sha256
from hither.crypto.keys import public_key_to_str
from hither.crypto.signing import compute_public_key
from tests.rpc.running import RunningNode

CONTRACTS = Path(__file__).resolve().parents[2] / "contracts"
TOKEN = (CONTRACTS / "fungible_token/fungible_token.wasm").read_bytes()
PING_PONG = (CONTRACTS / "ping_pong/ping_pong.wasm").read_bytes()
SHARDS = ("h0", "p0")


def get_public_key(name: str) -> str:
    """A key of one's own for each name."""
    return public_key_to_str(compute_public_key(derive_development_key(name)))


def act(running: RunningNode) -> list[str]:
    """Every kind of action, some of them failing, within and between three shards. The hashes, in order."""
    results: list[TransactionResult] = []
    with (
        running.connect("alice.near") as alice,
        running.connect("sybil.near") as sybil,
        running.connect("trent.near") as trent,
    ):
        _manage_keys(alice, results)
        results += [client.deploy(PING_PONG) for client in (alice, sybil)]
        results.append(
            alice.call("alice.near", "ping", {"other_id": "sybil.near", "rounds": 3}, gas="200 Tgas")
        )
        results.append(alice.call("sybil.near", "ping_failure", {"other_id": "alice.near"}, gas="100 Tgas"))
        _publish(trent, results)
        _fail(alice, results)
        delegate = sybil.delegate("bob.near", actions.transfer("1 N"))
        results.append(alice.relay(delegate))
        results.append(
            alice.send(
                "new.alice.near",
                actions.delete_account("bob.near"),
                signer=running.get_signer("new.alice.near"),
            )
        )
    return [result.hash for result in results]


def _manage_keys(alice: Client, results: list[TransactionResult]) -> None:
    key = get_public_key("new.alice.near")
    results.append(alice.create_account("new.alice.near", key, "5 N"))
    results.append(
        alice.send(
            "alice.near",
            actions.add_full_access_key(get_public_key("one")),
            actions.add_call_key(get_public_key("two"), "bob.near", ["method"], "1 N"),
            actions.add_call_key(get_public_key("three"), "bob.near"),
            actions.add_gas_key(get_public_key("gas"), 3),
        )
    )
    results.append(alice.send("alice.near", actions.fund_gas_key(get_public_key("gas"), "2 N")))
    results.append(alice.send("alice.near", actions.withdraw_from_gas_key(get_public_key("gas"), "1 N")))
    results.append(alice.send("alice.near", actions.delete_key(get_public_key("one"))))
    results.append(
        alice.send("alice.near", actions.stake("0 N", get_public_key("stake")), raise_on_failure=False)
    )


def _publish(trent: Client, results: list[TransactionResult]) -> None:
    results.append(trent.send("trent.near", actions.deploy_global(TOKEN)))
    results.append(trent.send("trent.near", actions.deploy_global(TOKEN, by_account=True)))
    results.append(trent.send("trent.near", actions.use_global(sha256(TOKEN))))
    results.append(trent.send("trent.near", actions.use_global("trent.near")))
    supply = {"owner_id": "trent.near", "total_supply": "100"}
    results.append(trent.call("trent.near", "new_default", supply))


def _fail(alice: Client, results: list[TransactionResult]) -> None:
    """A panic, a missing method, a missing account, an account that is there."""
    for attempt in (
        lambda: alice.call("alice.near", "fail"),
        lambda: alice.call("alice.near", "nothing"),
        lambda: alice.transfer("missing.alice.near", Yocto(1)),
        lambda: alice.create_account("bob.alice.near", get_public_key("x"), Yocto(0)),
        lambda: alice.create_account("new.alice.near", get_public_key("x"), "1 N"),
    ):
        try:
            results.append(attempt())
        except ExecutionFailed as error:
            results.append(error.result)
