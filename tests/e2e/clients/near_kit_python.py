"""The scenario of README.md with near-kit (PyPI): reads its setting from standard input, prints what it saw."""

import json
import sys
from base64 import b64decode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from near import Near
from near.actions import (
    add_full_access_key,
    add_function_call_key,
    create_account,
    delete_key,
    deploy_contract,
    function_call,
    transfer,
)
from near.delegate import encode_signed_delegate
from near.keys import generate_key

setting = json.load(sys.stdin)
user_id, token_id, receiver_id = setting["user_id"], setting["token_id"], setting["receiver_id"]
owner_id, relayer_id = setting["owner"]["account_id"], setting["relayer"]["account_id"]
user_key, token_key = generate_key(), generate_key()


def open_account(account_id: str, secret: str) -> Near:
    """A client that signs for one account."""
    return Near("localnet", rpc_url=setting["url"], account_id=account_id, private_key=secret)


owner = open_account(owner_id, setting["owner"]["secret_key"])
relayer = open_account(relayer_id, setting["relayer"]["secret_key"])
user = open_account(user_id, str(user_key.secret_key))
token = open_account(token_id, str(token_key.secret_key))


def error_of(action: Callable[[], Any]) -> Any:
    """The class and text of what an action raises."""
    try:
        action()
    except Exception as error:  # noqa: BLE001
        return {"name": type(error).__name__, "message": str(error)}
    return None


def yocto(account_id: str) -> int:
    """A balance."""
    return int(owner.account(account_id).amount)


def ft_balance(account_id: str) -> Any:
    """A balance of tokens."""
    return owner.view(token_id, "ft_balance_of", {"account_id": account_id})


seen: dict[str, Any] = {}

# Accounts
for account_id, key in ((user_id, user_key), (token_id, token_key)):
    actions = [create_account(), transfer("20 NEAR"), add_full_access_key(str(key.public_key))]
    owner.send_transaction(account_id, actions, wait_until="FINAL")
seen["exists"] = owner.account_exists(user_id)
seen["created_balance"] = str(yocto(user_id))

# Keys
extra, call = str(generate_key().public_key), str(generate_key().public_key)
user.send_transaction(user_id, [add_full_access_key(extra)])
user.send_transaction(user_id, [add_function_call_key(call, token_id, ["ft_transfer"], allowance="1 NEAR")])
seen["keys_after_add"] = len(user.access_keys(user_id))
user.send_transaction(user_id, [delete_key(extra)])
user.send_transaction(user_id, [delete_key(call)])
seen["keys_after_delete"] = len(user.access_keys(user_id))

# A contract: deploy, call, view
code = Path(setting["code_path"]).read_bytes()
init = function_call("new_default", {"owner_id": owner_id, "total_supply": "1000000"})
token.send_transaction(token_id, [deploy_contract(code), init])
found = owner.rpc("query", {"request_type": "view_code", "finality": "final", "account_id": token_id})
seen["code_size"] = len(b64decode(found["code_base64"]))
seen["token_name"] = owner.view(token_id, "ft_metadata")["name"]

# Tokens
for account_id in (user_id, receiver_id):
    owner.call(token_id, "storage_deposit", {"account_id": account_id}, deposit="0.1 NEAR")
send_tokens = {"gas": "30 Tgas", "deposit": "1 yocto"}
owner.call(token_id, "ft_transfer", {"receiver_id": user_id, "amount": "500"}, **send_tokens)
user.call(token_id, "ft_transfer", {"receiver_id": receiver_id, "amount": "200"}, **send_tokens)
seen["user_tokens"] = ft_balance(user_id)
seen["receiver_tokens"] = ft_balance(receiver_id)

# Money
before = yocto(receiver_id)
sent = owner.send(receiver_id, "1.5 NEAR")
seen["received"] = str(yocto(receiver_id) - before)

# A meta-transaction: the user signs, the relayer pays
user_before = yocto(user_id)
signed = user.sign_delegate(
    token_id,
    [
        function_call(
            "ft_transfer", {"receiver_id": receiver_id, "amount": "50"}, gas="30 Tgas", deposit="1 yocto"
        )
    ],
)
relayed = relayer.send_delegate(encode_signed_delegate(signed), wait_until="FINAL")
seen["relayed_by"] = relayer_id
seen["tokens_after_relay"] = ft_balance(receiver_id)
seen["user_paid"] = str(user_before - yocto(user_id))

# Errors
missing = f"missing.{owner_id}"
too_many = {"receiver_id": user_id, "amount": "999999999"}
seen["errors"] = {
    "missing_account": error_of(lambda: owner.account(missing)),
    "missing_receiver": error_of(lambda: owner.send(missing, "1 NEAR")),
    "panic": error_of(lambda: owner.call(token_id, "ft_transfer", too_many, **send_tokens)),
    "view_panic": error_of(lambda: owner.view(token_id, "no_such_method")),
    "no_contract": error_of(lambda: owner.view(user_id, "anything")),
    "too_poor": error_of(lambda: user.send(receiver_id, "1000000 NEAR")),
}
print(json.dumps(seen))
