"""Waiting for the nodes of a development network."""

from hither.cli.mpc_processes import QUIET_S_MAX, Patience


def test_a_node_has_the_time_that_its_stock_takes() -> None:
    """However long that is in all; who says the same for too long is waited for no more."""
    patience, now_s = Patience(0.0), 0.0
    for count in range(100):
        assert not patience.is_over({"0": count}, now_s)
        now_s += QUIET_S_MAX
    assert patience.is_over({"0": 99}, now_s + 1)
    assert not patience.is_over({"0": 100}, now_s + 1)
