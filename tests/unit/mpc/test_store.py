"""What a node keeps: encrypted, handed out once, sound wherever it is killed, without stock when it was copied."""

import os
import shutil
import sqlite3
import stat
from pathlib import Path

import pytest

from hither.mpc.backup import restore_backup, write_backup
from hither.mpc.protocols import Secret
from hither.mpc.store import (
    CRASH_POINTS,
    NodeStore,
    StoreDamaged,
    StoreInUse,
    Write,
    get_owner,
    make_presignature_id,
    number_presignature,
    read_or_make_key,
)

KEY = bytes(range(32))
SIGNERS = (0, 1)


class Killed(BaseException):
    """The process ends here."""


def must_expose(secret: Secret | None) -> bytes:
    assert secret is not None
    return secret.expose()


def test_a_presignature_is_handed_out_once(tmp_path: Path) -> None:
    """The second taker gets nothing, also from a store opened anew; other signers, domains and epochs get none."""
    id_ = make_presignature_id(1)
    with NodeStore(tmp_path / "store", KEY) as store:
        store.put_presignatures(id_, 0, 7, SIGNERS, [Secret(b"value")])
        (own_id,) = store.list_presignatures(0, SIGNERS)
        assert (own_id, get_owner(own_id)) == (number_presignature(id_, 0), 1)
        assert store.take_presignature(own_id, 0, 7, (0, 2)) is None
        assert store.take_presignature(own_id, 2, 7, SIGNERS) is None
        assert store.take_presignature(own_id, 0, 8, SIGNERS) is None
        assert must_expose(store.take_presignature(own_id, 0, 7, (1, 0))) == b"value"
        assert store.take_presignature(own_id, 0, 7, SIGNERS) is None
    with NodeStore(tmp_path / "store", KEY) as store:
        assert store.take_presignature(own_id, 0, 7, SIGNERS) is None


def test_one_process_runs_a_node(tmp_path: Path) -> None:
    """A second one is refused while the first has the store."""
    with NodeStore(tmp_path / "store", KEY), pytest.raises(StoreInUse, match="another process"):
        NodeStore(tmp_path / "store", KEY)
    NodeStore(tmp_path / "store", KEY).close()


def test_what_is_of_another_epoch_or_attempt_is_erased(tmp_path: Path) -> None:
    """What is in force stays, and so does what a key event of the next epoch has made already."""
    with NodeStore(tmp_path / "store", KEY) as store:
        for domain_id, epoch_id, attempt_id in ((0, 0, 0), (0, 1, 0), (0, 1, 1), (1, 1, 3), (0, 2, 0)):
            store.put_share(domain_id, epoch_id, attempt_id, Secret(b"share"))
        store.put_presignatures(make_presignature_id(0), 0, 0, SIGNERS, [Secret(b"old")])
        store.put_presignatures(make_presignature_id(0), 0, 1, SIGNERS, [Secret(b"new")])
        assert store.erase_others(1, {0: 1, 1: 3}) == 3
        assert store.list_shares() == [(0, 1, 1), (0, 2, 0), (1, 1, 3)]
        assert store.count_presignatures() == {0: 1}
        assert store.erase_others(1, {0: 1, 1: 3}) == 0


def test_what_is_erased_is_no_longer_on_disk(tmp_path: Path) -> None:
    """Not even encrypted: neither in the database nor in its log."""
    with NodeStore(tmp_path / "store", KEY) as store:
        store.put_share(0, 0, 0, Secret(b"share"))
        (row,) = store.export_rows()["shares"]
        kept = row[3]
        assert isinstance(kept, bytes)
        assert any(kept in path.read_bytes() for path in tmp_path.iterdir())
        store.put_share(0, 1, 0, Secret(b"another"))
        store.erase_others(1, {0: 0})
        assert not any(kept in path.read_bytes() for path in tmp_path.iterdir())


def test_nothing_secret_is_readable_on_disk(tmp_path: Path) -> None:
    """Neither the files nor another key show a stored value; the files are their owner's alone."""
    secret = b"a secret that would be easy to find"
    with NodeStore(tmp_path / "store", read_or_make_key(tmp_path / "key")) as store:
        store.put_share(0, 0, 0, Secret(secret))
        store.put_setting("seed", secret)
        write_backup(store, KEY, tmp_path / "backup")
    assert all(secret not in path.read_bytes() for path in tmp_path.iterdir())
    assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in tmp_path.iterdir())
    with pytest.raises(StoreDamaged, match="cannot be decrypted"):
        NodeStore(tmp_path / "store", read_or_make_key(tmp_path / "other"))


def test_a_value_moved_to_another_place_is_refused(tmp_path: Path) -> None:
    """A share of one domain cannot be passed off as that of another."""
    with NodeStore(tmp_path / "store", KEY) as store:
        store.put_share(0, 0, 0, Secret(b"share"))
    database = sqlite3.connect(tmp_path / "store")
    database.execute("UPDATE shares SET domain = 1")
    database.commit()
    database.close()
    with NodeStore(tmp_path / "store", KEY) as store, pytest.raises(StoreDamaged, match="share 1 0 0"):
        store.get_share_optional(1, 0, 0)


def test_a_backup_brings_back_shares_and_never_stock(tmp_path: Path) -> None:
    """With its key alone, into a place where there is no store; a changed byte is noticed."""
    with NodeStore(tmp_path / "store", KEY) as store:
        store.put_share(0, 3, 1, Secret(b"share"))
        store.put_setting("seed", b"seed")
        store.put_presignatures(make_presignature_id(0), 0, 3, SIGNERS, [Secret(b"value")])
        assert write_backup(store, KEY, tmp_path / "backup") == 1
        with pytest.raises(FileExistsError):
            write_backup(store, KEY, tmp_path / "backup")
    with pytest.raises(StoreDamaged, match="cannot be decrypted"):
        restore_backup(tmp_path / "backup", bytes(32), tmp_path / "again")
    with pytest.raises(FileExistsError, match="move it away"):
        restore_backup(tmp_path / "backup", KEY, tmp_path / "store")
    assert restore_backup(tmp_path / "backup", KEY, tmp_path / "again") == 1
    with NodeStore(tmp_path / "again", KEY) as store:
        assert must_expose(store.get_share_optional(0, 3, 1)) == b"share"
        assert store.get_setting_optional("seed") == b"seed"
        assert store.count_presignatures() == {}
    changed = bytearray((tmp_path / "backup").read_bytes())
    changed[-1] ^= 1
    (tmp_path / "changed").write_bytes(changed)
    with pytest.raises(StoreDamaged, match="was changed"):
        restore_backup(tmp_path / "changed", KEY, tmp_path / "third")


def test_a_copy_of_the_files_starts_without_stock(tmp_path: Path) -> None:
    """Whoever puts an old copy back cannot sign with what was in it; a restart keeps what there is."""
    (tmp_path / "node").mkdir()
    path = tmp_path / "node" / "store"
    with NodeStore(path, KEY) as store:
        store.put_share(0, 0, 0, Secret(b"share"))
        store.put_presignatures(make_presignature_id(0), 0, 0, SIGNERS, [Secret(b"value")])
    with NodeStore(path, KEY) as store:
        assert store.count_presignatures() == {0: 1}
    shutil.copytree(tmp_path / "node", tmp_path / "old")
    shutil.rmtree(tmp_path / "node")
    shutil.move(tmp_path / "old", tmp_path / "node")
    with NodeStore(path, KEY) as store:
        assert store.count_presignatures() == {}
        assert must_expose(store.get_share_optional(0, 0, 0)) == b"share"


def live(store: NodeStore) -> list[bytes]:
    """A node's life in small: every kind of write. Returns what it has used."""
    used = []
    store.put_setting("seed", b"seed")
    store.put_share(0, 0, 0, Secret(b"old"))
    store.put_share(0, 1, 0, Secret(b"share"))
    store.erase_others(1, {0: 0})
    base = make_presignature_id(0)
    store.put_presignatures(base, 0, 1, SIGNERS, [Secret(b"first"), Secret(b"second"), Secret(b"third")])
    for id_ in store.list_presignatures(0, SIGNERS)[:1]:
        taken = store.take_presignature(id_, 0, 1, SIGNERS)
        used.append(must_expose(taken))
    store.drop_presignatures([number_presignature(base, 1)])
    return used


def test_every_write_is_between_two_listed_points(tmp_path: Path) -> None:
    """The database sees no statement that writes but between a point and the next; all kinds of points are passed."""
    passed: list[tuple[Write, str]] = []
    written_outside: list[str] = []
    writes = ("INSERT", "DELETE", "UPDATE", "CREATE", "REPLACE", "DROP")

    def watch(statement: str) -> None:
        if statement.lstrip().upper().startswith(writes) and not (passed and passed[-1][1] == "before"):
            written_outside.append(statement)

    connect = sqlite3.connect

    def connect_watched(*arguments: object, **options: object) -> sqlite3.Connection:
        database = connect(*arguments, **options)  # type: ignore[call-overload]
        database.set_trace_callback(watch)
        assert isinstance(database, sqlite3.Connection)
        return database

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sqlite3, "connect", connect_watched)
        with NodeStore(tmp_path / "store", KEY, lambda write, side: passed.append((write, side))) as store:
            assert live(store) == [b"first"]
            assert written_outside == []
            store.drop_stock()
            store._database.execute("DELETE FROM settings")  # A write that no point announces is caught.
            assert written_outside == ["DELETE FROM settings"]
    assert set(passed) == set(CRASH_POINTS)
    assert passed[::2] == [(write, "before") for write, _ in passed[1::2]]


@pytest.mark.parametrize(("write", "side"), CRASH_POINTS, ids=str)
def test_a_node_killed_at_any_point_is_sound(tmp_path: Path, write: Write, side: str) -> None:
    """What it had used is gone, what it may have voted for is there, and it goes on from where it was."""
    used: list[bytes] = []

    def reach(reached: Write, at: str) -> None:
        if (reached, at) == (write, side):
            raise Killed

    store: NodeStore | None = None
    try:
        store = NodeStore(tmp_path / "store", KEY, reach)
        used += live(store)
    except Killed:
        pass
    else:
        pytest.fail("the point was not reached")
    if store is not None:
        # A process that is killed closes nothing; only what the kernel gives back is given back.
        os.close(store._descriptor)
    with NodeStore(tmp_path / "store", KEY) as again:
        left = [
            must_expose(again.take_presignature(id_, 0, 1, SIGNERS))
            for id_ in again.list_presignatures(0, SIGNERS)
        ]
        assert not set(used) & set(left)
        if (write, side) == (Write.TAKING, "after"):
            assert b"first" not in left  # It may have been used: nobody knows.
        if (write, side) in {(Write.STOCK, "before"), (Write.STOCK, "after")}:
            assert len(left) == (3 if side == "after" else 0)
        again.put_presignatures(make_presignature_id(0), 0, 1, SIGNERS, [Secret(b"new")])


def test_keys_of_the_wrong_length_are_refused(tmp_path: Path) -> None:
    """A file that was cut or filled by hand."""
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(StoreDamaged, match="must hold 32 bytes"):
        read_or_make_key(tmp_path / "key")
