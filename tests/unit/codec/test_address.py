"""What a message tells of an address."""

import pytest

from hither.codec.address import hide_secrets


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://127.0.0.1:3030", "http://127.0.0.1:3030"),
        ("https://user:password@rpc.example/v1/key?token=key#key", "https://rpc.example"),
        ("https://us@er:password@[::1]:8443/key", "https://[::1]:8443"),
    ],
)
def test_only_the_place_is_told(url: str, told: str) -> None:
    """Never who asks, nor what stands behind the host."""
    assert hide_secrets(url) == told
