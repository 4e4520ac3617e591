"""New keys: for a name, or for the account that the key itself is the name of."""

import pytest

from hither.client import InvalidRequest, Signer


def test_new_key_can_be_kept_and_given_again() -> None:
    """Two are never the same, and the text gives the same key."""
    alice, again = Signer.generate("alice.near"), Signer.generate("alice.near")
    assert alice.public_key != again.public_key
    assert Signer("alice.near", alice.secret_key).public_key == alice.public_key
    assert alice.secret_key not in repr(alice)


def test_without_a_name_it_is_that_of_the_key() -> None:
    """An implicit account: 64 hexadecimal digits."""
    newcomer = Signer.generate()
    assert newcomer.account_id == newcomer.public_key.data.hex()


def test_wrong_name_is_refused() -> None:
    """Before a key is used for it."""
    with pytest.raises(InvalidRequest):
        Signer.generate("Alice!")
