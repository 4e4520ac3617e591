"""What a person may say of a chain's endpoints."""

from pathlib import Path

import pytest

from hither.foreign.errors import InvalidChainId
from hither.sdk.network import CHAINS_FILE_NAME, InvalidEndpoints, make_endpoint, read_chosen_endpoints

URLS = ["https://one.test", "https://two.test", "https://three.test"]


def test_file_names_endpoints_and_how_many_must_agree(tmp_path: Path) -> None:
    """More than half, unless it says otherwise; none without a file."""
    assert read_chosen_endpoints(tmp_path) == []
    (tmp_path / CHAINS_FILE_NAME).write_text(
        f'["eip155:8453"]\nurls = {URLS}\nagree = 3\nconfirmations = 5\n["eip155:10"]\nurls = {URLS[:1]}\n'
    )
    base, optimism = read_chosen_endpoints(tmp_path)
    assert (str(base.chain), base.urls, base.agree, base.confirmations) == ("eip155:8453", tuple(URLS), 3, 5)
    assert (str(optimism.chain), optimism.urls, optimism.agree) == ("eip155:10", (URLS[0],), None)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "is not TOML"),
        ("urls = []", "outside a chain's section"),
        ('["eip155:1"]', "not a list of http"),
        ('["eip155:1"]\nurls = "https://one.test"', "not a list of http"),
        ('["eip155:1"]\nurls = ["file:///etc/passwd"]', "not a list of http"),
        ('["eip155:1"]\nurls = ["https://"]', "not a list of http"),
        ('["eip155:1"]\nurls = ["https://one.test", "https://one.test"]', "stands twice"),
        ('["eip155:1"]\nurls = ["https://one.test"]\nagree = 2', "2 of 1 endpoints cannot agree"),
        ('["eip155:1"]\nurls = ["https://one.test"]\nagree = 0', "not a number from 1"),
        ('["eip155:1"]\nurls = ["https://one.test"]\nconfirmations = true', "not a number from 1"),
        ('["eip155:1"]\nurls = ["https://one.test"]\nurl = 1', "unknown: url"),
        ('[mainnet]\nurls = ["https://one.test"]', "mainnet"),
    ],
)
def test_what_cannot_be_is_told_with_the_file(tmp_path: Path, text: str, reason: str) -> None:
    """And how it is written."""
    (tmp_path / CHAINS_FILE_NAME).write_text(text)
    with pytest.raises(InvalidEndpoints, match=reason) as caught:
        read_chosen_endpoints(tmp_path)
    assert CHAINS_FILE_NAME in str(caught.value)
    assert caught.value.hint


def test_program_is_told_too() -> None:
    """By the same errors, before anything is asked."""
    assert make_endpoint("eip155:1", URLS).urls == tuple(URLS)
    with pytest.raises(InvalidEndpoints):
        make_endpoint("eip155:1", [])
    with pytest.raises(InvalidChainId):
        make_endpoint("mainnet", URLS)
