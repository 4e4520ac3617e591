"""near-kit (npm) with its own sandbox launcher: what each file of its integration suite does, done shortly.

One run of `near_kit_sandbox.mjs` sees everything; each test holds what one of its functions saw.
docs/reference/compatibility.md names the test for each file of the suite.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest

from tests.e2e.clients.test_clients import CODE, HERE, get_libraries

pytestmark = pytest.mark.slow

NEAR: Final = 10**24
SCRIPT: Final = "near_kit_sandbox.mjs"
SCRIPT_S_MAX: Final = 120

Seen = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Seen:
    """What each function of the script saw."""
    folder = tmp_path_factory.mktemp("near_kit")
    shutil.copy(HERE / SCRIPT, folder)
    (folder / "node_modules").symlink_to(get_libraries() / "node_modules")
    # The launcher leaves its homes behind.
    places = {
        "NEAR_SANDBOX_BIN_PATH": str(Path(sys.executable).parent / "hither-sandbox"),
        "TMPDIR": str(folder),
    }
    result = subprocess.run(
        ["node", str(folder / SCRIPT)],
        env=os.environ | places,
        input=json.dumps({"code_path": str(CODE)}),
        capture_output=True,
        text=True,
        timeout=SCRIPT_S_MAX,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    answers: Seen = json.loads(result.stdout.splitlines()[-1])
    return answers


def test_actions(seen: Seen) -> None:
    """Keys, stake, deletion, contracts of one's own and global ones."""
    assert seen["actions"] == {
        "keys": 2,
        "staked": str(900_000 * NEAR),
        "deleted": "AccountDoesNotExistError",
        "inherited": True,
        "published": True,
        "by_hash": True,
        "missing": "GlobalContractNotFoundError",
        "own_code": True,
        "deployed_from_published": "9",
    }


def test_concurrent_transactions(seen: Seen) -> None:
    """Ten at once of one key, and one of another account that fails."""
    assert seen["concurrent-transactions"] == {
        "succeeded": 10,
        "different_nonces": 10,
        "failed": "rejected",
        "received": str(55 * NEAR),
    }


def test_contract_interface(seen: Seen) -> None:
    """Calls and views by method names."""
    error = "FunctionCallError"
    assert seen["contract-interface"] == {"seen": "5", "missing_argument": error, "missing_method": error}


def test_contract_panics(seen: Seen) -> None:
    """The panic's own words; nobody is told who did not wait."""
    good = seen["contract-panics"].pop("good")
    # Its second receipt is a transfer: the transaction's own block may be final by then, as at NEAR's node.
    assert good in ("EXECUTED_OPTIMISTIC", "EXECUTED")
    assert seen["contract-panics"] == {
        "name": "FunctionCallError",
        "panic": "Smart contract panicked: Sender and receiver should be different",
        "method": "ft_transfer",
        "final": "FunctionCallError",
        "not_awaited": None,
        "other_action": "InvalidTransactionError",
    }


def test_meta_transactions_of_version_two(seen: Seen) -> None:
    assert seen["delegate-v2"] == {"succeeded": True, "received": str(NEAR)}


def test_errors_of_reads(seen: Seen) -> None:
    """Each by its name; the network's own as well."""
    assert seen["error-handling"] == {
        "account": "AccountDoesNotExistError",
        "key": "AccessKeyDoesNotExistError",
        "known": True,
        "method": "FunctionCallError",
        "no_contract": "FunctionCallError",
        "network": "NetworkError",
    }


def test_gas_key_actions(seen: Seen) -> None:
    """Added, funded, withdrawn from; with and without a restriction."""
    assert seen["gas-key-actions"] == {
        "funded": True,
        "restricted": True,
        "permission": {"GasKeyFullAccess": {"balance": str(NEAR), "num_nonces": 4}},
    }


def test_gas_key_nonces(seen: Seen) -> None:
    assert seen["gas-key-nonces"] == {"lanes": 3, "other_key": "AccessKeyDoesNotExistError"}


def test_signing_with_gas_keys_and_strict_nonces(seen: Seen) -> None:
    """Only the lane that signed moves."""
    assert seen["gas-key-signing"] == {
        "succeeded": True,
        "used": [0, 1, 0, 0],
        "strict": True,
        "received": str(2 * NEAR),
    }


def test_a_contract_used_by_several_accounts(seen: Seen) -> None:
    """What the suite does with a guestbook, with a token: state, order, text of any kind, deposits."""
    assert seen["guestbook-comprehensive"] == {
        "balances": ["5", "2"],
        "type": "number",
        "without_deposit": "FunctionCallError",
    }


def test_post_quantum_keys(seen: Seen) -> None:
    assert seen["ml-dsa"] == {"succeeded": True, "received": str(2 * NEAR), "round_trip": True}


def test_the_client_as_a_whole(seen: Seen) -> None:
    """Balances, batches, block references, several transfers in one."""
    assert seen["near-client"] == {
        "balance": "19.99",
        "exists": True,
        "sums": [1, 1, 1],
        "missing": False,
        "no_keys": 0,
        "has_contract": False,
        "chain_id": "localnet",
        "sent": True,
        "received": str(55 * NEAR // 10),
        "too_poor": "InvalidTransactionError",
    }


def test_signed_messages_are_held_against_keys(seen: Seen) -> None:
    """NEP-413: only a key of the account without restrictions speaks for it."""
    assert seen["nep413-rpc-validation"] == {
        "own_key": True,
        "other_key": False,
        "limited_key": False,
        "missing_account": False,
    }


def test_deterministic_accounts(seen: Seen) -> None:
    """NEP-616: with and without data, twice, and called."""
    assert seen["nep616-deterministic-accounts"] == {
        "is_deterministic": True,
        "succeeded": [True, True, True],
        "value": "value",
        "called": "7",
    }


def test_rotating_keys(seen: Seen) -> None:
    """Nine transactions at once over three keys of one account."""
    assert seen["rotating-keystore"] == {"succeeded": 9, "keys": 3}


def test_errors_by_their_cause(seen: Seen) -> None:
    """What near-kit makes of NEAR's names of errors."""
    assert seen["rpc-error-handler-paths"] == {
        "block": "UnknownBlockError",
        "account": "NetworkError",
        "chunk": "UnknownChunkError",
        "epoch": "UnknownEpochError",
        "receipt": "UnknownReceiptError",
        "parameters": "NetworkError",
        "method": "NetworkError",
        "code": "InvalidTransactionError",
    }


def test_errors_of_transactions(seen: Seen) -> None:
    assert seen["rpc-error-scenarios"] == {
        "balance": "InvalidTransactionError",
        "receiver": "InvalidTransactionError",
        "gas": "FunctionCallError",
        "arguments": "FunctionCallError",
        "not_deployed": "FunctionCallError",
    }


def test_views_of_blocks_and_prices(seen: Seen) -> None:
    assert seen["rpc-view-methods"] == {
        "chain_id": "localnet",
        "protocol_version": 86,
        "same_block": True,
        "ahead": True,
        "gas_price": True,
        "supply": '"1000"',
    }


def test_sandbox_controls(seen: Seen) -> None:
    """Patch, dump, restore, fast-forward; tests/e2e/launchers restarts as well."""
    assert seen["sandbox"] == {
        "patched": str(100 * NEAR),
        "dumped": str(100 * NEAR),
        "restored": str(20 * NEAR),
        "skipped": True,
        "backwards": True,
    }


def test_each_wait_is_answered_with_what_was_waited_for(seen: Seen) -> None:
    """The status, and whether the outcome was in the answer."""
    assert seen["send-transaction"] == {
        "NONE": ["NONE", False],
        "INCLUDED": ["INCLUDED", False],
        "EXECUTED_OPTIMISTIC": ["EXECUTED_OPTIMISTIC", True],
        "FINAL": ["FINAL", True],
        "received": str(4 * NEAR),
    }


def test_signing_before_sending(seen: Seen) -> None:
    assert seen["transaction-signing"] == {"same": True, "signed_anew": True, "other_key": True}


def test_status_of_a_transaction(seen: Seen) -> None:
    """Executed when it is answered, final when that is waited for; in between as the machine's load has it."""
    statuses = seen["tx-status"].pop("statuses")
    assert (statuses[0], statuses[-1]) == ("EXECUTED_OPTIMISTIC", "FINAL")
    assert set(statuses[1:-1]) <= {"EXECUTED_OPTIMISTIC", "EXECUTED", "FINAL"}
    assert seen["tx-status"] == {"receipts": [True, True, True], "missing": True}


def test_state_in_pages(seen: Seen) -> None:
    """And the reads beside it: genesis, what a block touched, maintenance."""
    assert seen["view-state-rpc"] == {
        "pages": [2, 2],
        "all": [f"key-{at}" for at in range(5)],
        "chain_id": "localnet",
        "touched": True,
        "windows": [],
    }
