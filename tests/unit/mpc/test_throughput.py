"""The measurement of the protocols alone: every scheme makes signatures, and more time makes more."""

import pytest

from hither.mpc.throughput import Scheme, measure_sustained


@pytest.mark.parametrize("scheme", ["cait-sith", "robust", "frost"])
def test_every_scheme_signs_from_key_shares_alone(scheme: Scheme) -> None:
    """No time at all is no signature; some is at least one a thread."""
    assert measure_sustained(scheme, 0.0, threads=1) == 0
    assert measure_sustained(scheme, 0.05, threads=2) > 0
