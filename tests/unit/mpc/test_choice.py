"""With whom a leader signs: who is silent, and who let jobs fail."""

import pytest

from hither.mpc.choice import (
    EXACT_S_MAX,
    count_exact_seconds,
    explain_no_stock,
    list_signer_choices,
)
from hither.mpc.engine import EXACT_TURN_MS
from hither.mpc.signers import NotSigned
from tests.unit.mpc.meshed import ECDSA, ROBUST


def doubt(*participants: int) -> dict[int, int]:
    return dict.fromkeys(range(5), 0) | dict.fromkeys(participants, 1)


def test_who_is_silent_comes_last_and_who_was_in_failed_jobs_before_it() -> None:
    """Whoever is there is tried in the order of the request otherwise."""
    sets = list_signer_choices(ECDSA, 0, (0, 3, 1, 2), (), doubt().__getitem__)
    assert sets == [(0, 3), (0, 1), (0, 2)]
    sets = list_signer_choices(ECDSA, 0, (0, 3, 1, 2), {3}, doubt(1).__getitem__)
    assert sets == [(0, 2), (0, 1), (0, 3)]
    with pytest.raises(NotSigned, match="2 signers are needed, and 1 are to be reached") as caught:
        list_signer_choices(ECDSA, 0, (0,), (), doubt().__getitem__)
    assert caught.value.code == "SignersUnavailable"


def test_nothing_is_spent_on_a_silent_one_where_all_are_needed() -> None:
    """Of three, the reason is told at once; of five, the others sign."""
    with pytest.raises(NotSigned, match="3 signers are needed, and 2 are to be reached") as caught:
        list_signer_choices(ROBUST, 0, (2, 0, 1), {2}, doubt().__getitem__)
    assert caught.value.code == "RobustSetIncomplete"
    sets = list_signer_choices(ROBUST, 0, (2, 0, 1, 4, 3), {2}, doubt(1).__getitem__)
    assert sets[0] == (0, 3, 4) and not any(2 in signers for signers in sets)


def test_stock_that_was_spent_on_who_does_not_answer_is_told_of() -> None:
    """Not where it is only being made again, not where another set may have some, and not of other protocols."""
    for domain, doubted, code in (
        (ROBUST, doubt(2), "RobustSetIncomplete"),
        (ROBUST, doubt(), None),
        (ECDSA, doubt(2), None),
    ):
        assert explain_no_stock(domain, [(0, 1, 2)], doubted.__getitem__).code == code
    assert explain_no_stock(ROBUST, [(0, 1, 2), (0, 1, 3)], doubt(2).__getitem__).code is None


def test_whoever_leads_later_has_what_is_left_of_the_time() -> None:
    """The first all of it, the second in turn the rest, and nobody less than that."""
    assert count_exact_seconds(0.0) == EXACT_S_MAX
    rest_s = EXACT_S_MAX - EXACT_TURN_MS / 1e3
    assert count_exact_seconds(EXACT_TURN_MS / 1e3) == count_exact_seconds(60.0) == rest_s
