"""`--evm`: which chains `hither up` starts."""

import click
import pytest

from hither.cli.up import read_chain_ids


def test_chains_are_chosen_by_name_and_by_id() -> None:
    """Each once, in the order written."""
    assert read_chain_ids("base, arbitrum,10,Base,,1") == (8453, 42161, 10, 1)
    assert read_chain_ids("") == ()


@pytest.mark.parametrize("text", ["bas", "1;2", "0", "-5", "solana:x"])
def test_what_is_no_chain_is_wrong_usage(text: str) -> None:
    """With similar names, where there are any."""
    with pytest.raises(click.BadParameter):
        read_chain_ids(text)
