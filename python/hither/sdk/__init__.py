"""What an application imports: one account on every chain.

::

    network = Network.from_endpoints(json.loads((home / "endpoints.json").read_text()))
    async with Account(network, Signer("alice.near", secret_key)) as alice:
        print(await alice.get_address(parse_chain_id("eip155:8453")))
        sent = await alice.send(parse_chain_id("eip155:8453"), "0x…", 10**15)

``network`` says where everything answers, as endpoints.json of a running network tells it; ``account`` turns
an account of our chain into one on
every other chain: addresses, balances, transfers. Keys on other chains are held by nobody: each signature
is asked for on our chain.
"""

from hither.sdk.account import Account, Sent
from hither.sdk.network import Endpoint, Network

__all__ = ["Account", "Endpoint", "Network", "Sent"]
