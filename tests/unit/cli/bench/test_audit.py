"""The audit of a benchmark notices what it is there to notice."""

import dataclasses
import itertools
from pathlib import Path

import pytest

from hither.cli.bench.audit import audit_payments
from hither.cli.bench.options import BenchmarkFailed, BenchOptions
from hither.cli.bench.transfers import get_genesis_hash, submit
from hither.cli.bench.world import iterate_payments, make_home, make_keyrings

OPTIONS = BenchOptions(accounts=30, senders=10, shards=2)


def test_the_audit_holds_the_database_against_what_was_sent(tmp_path: Path) -> None:
    """All that was sent is final; a transfer that nobody sent, and one of another amount, are noticed."""
    home = make_home(tmp_path / "home", OPTIONS)
    payments = list(itertools.islice(iterate_payments(OPTIONS, get_genesis_hash(home)), 60))
    sent, seconds = submit(home, payments[:50], seconds=30)
    rings = make_keyrings(OPTIONS.senders)

    audit = audit_payments(home, rings, payments[:sent])
    assert (sent, audit.final, audit.missing) == (50, 50, 0)
    assert seconds > 0

    assert audit_payments(home, rings, payments).missing == 10

    wrong = [dataclasses.replace(payments[0], amount=payments[0].amount + 1), *payments[1:50]]
    with pytest.raises(BenchmarkFailed, match="the model says"):
        audit_payments(home, rings, wrong)
    with pytest.raises(BenchmarkFailed, match=r"the model says|nonce"):
        audit_payments(home, rings, payments[:40])
