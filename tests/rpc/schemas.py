"""Ask the schemas of ``@near-js/jsonrpc-types``: a child process that answers lines of JSON (``schemas.mjs``)."""

import json
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from tests.e2e.clients.test_clients import get_libraries

# The schemas are of a release before protocol 85. What has come since is said in the words of before, so that all
# the rest of an answer is still compared: kinds of keys and actions that are newer, and fields that have gone.
NEWER_PERMISSIONS = ("GasKeyFullAccess", "GasKeyFunctionCall")
NEWER_ACTIONS = ("TransferToGasKey", "WithdrawFromGasKey")
OLDER_IDENTIFIERS = {"hash": "CodeHash", "account_id": "AccountId"}
GONE: dict[str, dict[str, Any]] = {
    "num_block_producer_seats": {
        "num_block_producer_seats_per_shard": [1],
        "avg_hidden_validator_seats_per_shard": [0],
    },
    "reftypes_bulk_memory": {"saturating_float_to_int": True},
}


def say_older(value: Any) -> Any:
    """An answer as the release of the schemas would have said it."""
    if isinstance(value, list):
        return [say_older(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1 and (kind := next(iter(value))) in NEWER_PERMISSIONS + NEWER_ACTIONS:
        return "FullAccess" if kind in NEWER_PERMISSIONS else "CreateAccount"
    if "already_delivered_shards" in value and "id" in value:
        value |= {"id": {OLDER_IDENTIFIERS[kind]: inner for kind, inner in value["id"].items()}}
    gone = [fields for name, fields in GONE.items() if name in value]
    return {name: say_older(inner) for fields in (value, *gone) for name, inner in fields.items()}


class Schemas:
    """One child process; it ends when its standard input does."""

    def __init__(self) -> None:
        script = Path(__file__).with_suffix(".mjs")
        command = ["node", str(script), str(get_libraries() / "package.json")]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def find_faults(self, method: str, answer: dict[str, Any]) -> list[str] | None:
        """What the schema of a method objects to in a whole answer; ``None`` for a method that has no schema."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps({"method": method, "answer": say_older(answer)}).encode() + b"\n")
        stdin.flush()
        line = stdout.readline()
        assert line, f"the schemas died of {str(answer)[:500]}"
        found = json.loads(line)
        return (
            [fault for issue in found["issues"] for fault in name_faults(issue)] if found["known"] else None
        )


def name_faults(issue: dict[str, Any], outer: tuple[str, ...] = ()) -> list[str]:
    """Where a schema objects, and to what; of the variants of a union the one that comes furthest."""
    path = (*outer, *map(str, issue["path"]))
    variants = [variant for variant in issue.get("errors", []) if variant]
    if not variants:
        return [f"{'.'.join(path)}: {issue['code']} {issue.get('expected', issue.get('values', ''))}"]
    faults = [[fault for inner in variant for fault in name_faults(inner, path)] for variant in variants]
    return max(faults, key=lambda names: max(name.count(".") for name in names))


@cache
def get_schemas() -> Schemas:
    """One for the whole test run."""
    return Schemas()
