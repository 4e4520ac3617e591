"""What all modules about the signer contract begin with."""

from collections.abc import Iterator

import pytest

from tests.e2e.contracts.signer_network import SignerNetwork, start_signer


@pytest.fixture(scope="module")
def running(request: pytest.FixtureRequest) -> Iterator[SignerNetwork]:
    """A signer contract with keys of the domains that the module names."""
    with start_signer(request.module.SIGNER_DOMAINS) as network:
        yield network


@pytest.fixture
def signer(running: SignerNetwork) -> Iterator[SignerNetwork]:
    """The same for every test: what one did is undone."""
    with running.reverted():
        yield running
