"""Descriptors; Bitcoin Knots says the same of many (tests/e2e/foreign/test_bitcoin_against_knots.py)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hither.foreign.bitcoin_addresses import REGTEST, derive_script
from hither.foreign.engines.bitcoin_descriptors import DescriptorError, add_checksum, read_descriptor
from tests.unit.foreign.test_bitcoin_node import ALICE_KEY, ALICE_SCRIPT

KEY = ALICE_KEY.hex()


def test_a_key_stands_for_its_scripts() -> None:
    """Each told with the key and where it comes from."""
    (told,) = read_descriptor(f"wpkh({KEY})").items()
    assert told[0] == ALICE_SCRIPT == derive_script(ALICE_KEY, REGTEST)
    assert told[1].startswith("wpkh([33b94b70]")
    assert read_descriptor(told[1]) == dict([told])
    assert len(read_descriptor(f"combo({KEY})")) == 4
    assert read_descriptor("raw(51)") == {b"\x51": ""}


@pytest.mark.parametrize(
    "text",
    [
        "addr(bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4)",
        f"wsh(pk({KEY}))",
        "addr(:)",
        f"sh(pkh({KEY}))",
        f"wpkh({KEY}/*)",
        add_checksum(f"wpkh({KEY})")[:-1] + "q",
    ],
)
def test_what_is_not_read_is_refused(text: str) -> None:
    """Another network's address, none, other functions, keys to be derived, a wrong checksum."""
    with pytest.raises(DescriptorError):
        read_descriptor(text)


@given(st.text(max_size=60), st.sampled_from(["addr", "raw", "pk", "wpkh", "sh(wpkh", "combo"]))
def test_any_text_is_read_or_refused(text: str, function: str) -> None:
    """Never another error."""
    for one in (
        text,
        f"{function}({text})",
        f"{function}([{text}]{KEY})",
        f"{text}#{text}",
        f"raw(51)#{text}",
    ):
        with contextlib.suppress(DescriptorError):
            read_descriptor(one)
