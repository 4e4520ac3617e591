"""A client of the network that runs on this machine, in one line.

::

    from hither import connect

    with connect("alice.near") as client:
        client.transfer("bob.near", "1.5 N")
"""

from pathlib import Path

from hither.client import Client, Signer
from hither.client.actions import parse_account_id
from hither.sdk.endpoints import NoKey, read_endpoints, read_keys, resolve_home


def connect(account_id: str | None = None, *, home: str | Path | None = None) -> Client:
    """A client of the network that runs in a home (else $HITHER_HOME, else ~/.hither).

    With an account it signs for that, by the key kept in the home: one of the funded accounts, or one that
    `hither accounts create` or `hither contracts deploy` made. Raises ``NoNetwork``, ``NoKey``, ``InvalidRequest``.
    """
    folder = resolve_home(None if home is None else str(home))
    url = read_endpoints(folder)["near"]["rpc_url"]
    if account_id is None:
        return Client(url)
    keys = read_keys(folder)
    if parse_account_id(account_id) not in keys:
        raise NoKey(
            f"no key of {account_id} is kept in {folder}; `hither accounts list` shows whose keys are"
        )
    return Client(url, signer=Signer(account_id, keys[account_id]))
