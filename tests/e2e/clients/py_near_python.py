"""The scenario of README.md with py-near (PyPI): reads its setting from standard input, prints what it saw.

With ``transfers`` in the setting it sends so many transfers one after the other instead, with
py-near's own cache of block hashes.
"""

import asyncio
import base64
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import base58
from nacl.signing import SigningKey
from py_near import transactions
from py_near.account import Account

setting = json.load(sys.stdin)
ONE_NEAR = 10**24


def generate_key() -> tuple[str, str]:
    """Public and secret key as text."""
    key = SigningKey.generate()
    public = base58.b58encode(bytes(key.verify_key)).decode()
    secret = base58.b58encode(bytes(key) + bytes(key.verify_key)).decode()
    return public, f"ed25519:{secret}"


async def open_account(account_id: str, secret: str) -> Account:
    """An account that signs."""
    account = Account(account_id, secret, rpc_addr=setting["url"])
    await account.startup()
    return account


async def error_of(action: Callable[[], Awaitable[Any]]) -> Any:
    """The class and text of what an action raises, or of the failure it returns."""
    try:
        result = await action()
    except Exception as error:  # noqa: BLE001
        return {"name": type(error).__name__, "message": str(error)}
    status = getattr(result, "status", None)
    return {"name": "Failure", "message": json.dumps(status)} if status and "Failure" in status else None


async def run_scenario() -> dict[str, Any]:
    """All steps."""
    seen: dict[str, Any] = {}
    user_id, token_id, receiver_id = setting["user_id"], setting["token_id"], setting["receiver_id"]
    owner = await open_account(setting["owner"]["account_id"], setting["owner"]["secret_key"])
    relayer = await open_account(setting["relayer"]["account_id"], setting["relayer"]["secret_key"])
    (user_public, user_secret), (token_public, token_secret) = generate_key(), generate_key()

    await owner.create_account(user_id, user_public, 20 * ONE_NEAR)
    await owner.create_account(token_id, token_public, 20 * ONE_NEAR)
    user, token = await open_account(user_id, user_secret), await open_account(token_id, token_secret)
    seen["exists"] = bool(await user.fetch_state())
    seen["created_balance"] = str(await owner.get_balance(user_id))

    extra, call = generate_key()[0], generate_key()[0]
    await user.add_full_access_public_key(extra)
    await user.add_public_key(call, token_id, ["ft_transfer"], ONE_NEAR)
    seen["keys_after_add"] = len(await user.get_access_key_list())
    await user.delete_public_key(extra)
    await user.delete_public_key(call)
    seen["keys_after_delete"] = len(await user.get_access_key_list())

    code = Path(setting["code_path"]).read_bytes()
    await token.deploy_contract(code)
    await token.function_call(
        token_id, "new_default", {"owner_id": owner.account_id, "total_supply": "1000000"}
    )
    provider = owner.provider
    found = await provider.query({"request_type": "view_code", "finality": "final", "account_id": token_id})
    seen["code_size"] = len(base64.b64decode(found["code_base64"]))
    seen["token_name"] = (await owner.view_function(token_id, "ft_metadata", {})).result["name"]

    async def ft_balance(account_id: str) -> Any:
        return (await owner.view_function(token_id, "ft_balance_of", {"account_id": account_id})).result

    for account_id in (user_id, receiver_id):
        await owner.function_call(
            token_id, "storage_deposit", {"account_id": account_id}, amount=ONE_NEAR // 10
        )
    await owner.function_call(token_id, "ft_transfer", {"receiver_id": user_id, "amount": "500"}, amount=1)
    await user.function_call(token_id, "ft_transfer", {"receiver_id": receiver_id, "amount": "200"}, amount=1)
    seen["user_tokens"], seen["receiver_tokens"] = await ft_balance(user_id), await ft_balance(receiver_id)

    before = await owner.get_balance(receiver_id)
    await owner.send_money(receiver_id, 3 * ONE_NEAR // 2)
    seen["received"] = str(await owner.get_balance(receiver_id) - before)

    user_before = await owner.get_balance(user_id)
    inner = transactions.create_function_call_action(
        "ft_transfer",
        json.dumps({"receiver_id": receiver_id, "amount": "50"}).encode(),
        30 * 10**12,
        1,
    )
    delegate = await user.create_delegate_action([inner], token_id)
    relayed = await relayer.call_delegate_transaction(delegate, user.sign_delegate_transaction(delegate))
    seen["relayed_by"] = relayed.transaction.signer_id
    seen["tokens_after_relay"] = await ft_balance(receiver_id)
    seen["user_paid"] = str(user_before - await owner.get_balance(user_id))

    missing = f"missing.{owner.account_id}"
    too_many = {"receiver_id": user_id, "amount": "999999999"}
    seen["errors"] = {
        "missing_account": await error_of(
            lambda: provider.query(
                {"request_type": "view_account", "finality": "final", "account_id": missing}
            )
        ),
        "missing_receiver": await error_of(lambda: owner.send_money(missing, ONE_NEAR)),
        "panic": await error_of(lambda: owner.function_call(token_id, "ft_transfer", too_many, amount=1)),
        "view_panic": await error_of(lambda: owner.view_function(token_id, "no_such_method", {})),
        "no_contract": await error_of(lambda: owner.view_function(user_id, "anything", {})),
        "too_poor": await error_of(lambda: user.send_money(receiver_id, 1_000_000 * ONE_NEAR)),
    }
    for account in (owner, relayer, user, token):
        await account.shutdown()
    return seen


async def run_transfers() -> dict[str, Any]:
    """Many transfers in sequence."""
    owner = await open_account(setting["owner"]["account_id"], setting["owner"]["secret_key"])
    before = await owner.get_balance(setting["receiver_id"])
    statuses = set()
    for _ in range(setting["transfers"]):
        result = await owner.send_money(setting["receiver_id"], 1)
        statuses.add(json.dumps(result.status))
    received = await owner.get_balance(setting["receiver_id"]) - before
    await owner.shutdown()
    return {"statuses": sorted(statuses), "received": received}


print(json.dumps(asyncio.run(run_transfers() if "transfers" in setting else run_scenario())))
