"""Addresses of the chains, made by other people's libraries."""

import secrets

from embit.ec import PrivateKey
from embit.networks import NETWORKS as embit_networks
from embit.script import p2wpkh
from eth_account import Account as EthereumAccount
from solders.keypair import Keypair


def make_address(family: str) -> str:
    """One that nobody has used."""
    match family:
        case "eip155":
            return str(EthereumAccount.create().address)
        case "bip122":
            key = PrivateKey(secrets.token_bytes(32)).get_public_key()
            return str(p2wpkh(key).address(embit_networks["regtest"]))
        case "solana":
            return str(Keypair().pubkey())
    return secrets.token_hex(32)  # An implicit account.
