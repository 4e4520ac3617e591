"""The store: durable, atomic, one writer, many readers."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hither.state import InvalidInput, Store, StoreError

TABLES = ["blocks", "state"]


def must_open(path: Path, *, read_only: bool = False) -> Store:
    return Store(str(path), tables=TABLES, read_only=read_only)


def must_run(code: str, *arguments: str) -> str:
    """Run Python code in another process; what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_commit_is_there_after_reopening(tmp_path: Path) -> None:
    store = must_open(tmp_path)
    store.commit([("blocks", b"a", b"1"), ("state", b"a", b"2"), ("blocks", b"b", b"")])
    store.commit([("blocks", b"a", None)])
    store.close()
    again = must_open(tmp_path)
    assert again.get("blocks", b"a") is None
    assert again.get("blocks", b"b") == b""
    assert again.get("state", b"a") == b"2"


@pytest.mark.parametrize("sync", [True, False])
def test_scan_goes_both_ways_between_bounds(tmp_path: Path, sync: bool) -> None:
    """Waiting writes and committed ones look the same."""
    store = must_open(tmp_path)
    store.commit([("state", bytes([key]), b"old") for key in (1, 2, 3, 5, 9)])
    store.commit([("state", bytes([key]), b"v") for key in (3, 4, 9)] + [("state", b"\x05", None)], sync=sync)

    def scan(*arguments: bytes | None, **keywords: object) -> list[int]:
        return [key[0] for key, _ in store.scan("state", *arguments, **keywords)]  # type: ignore[arg-type]

    assert scan() == [1, 2, 3, 4, 9]
    assert scan(b"\x02", b"\x09") == [2, 3, 4]
    assert scan(b"\x02", b"\x09", reverse=True) == [4, 3, 2]
    assert scan(b"\x02", limit=2) == [2, 3]
    assert scan(limit=2, reverse=True) == [9, 4]
    assert scan(b"\x03", b"\x03") == []
    assert scan(limit=0) == []
    assert store.get("state", b"\x03") == b"v"
    assert store.get("state", b"\x05") is None


def test_unsynced_writes_wait_for_the_next_synced_commit(tmp_path: Path) -> None:
    """A reader sees them only then; closing counts as one."""
    store = must_open(tmp_path)
    reader = "import sys; from hither_native import Store\n"
    reader += "print(Store(sys.argv[1], tables=['state'], read_only=True).get('state', b'k'))"
    store.commit([("state", b"k", b"1")], sync=False)
    assert must_run(reader, str(tmp_path)) == "None"
    store.commit([("blocks", b"x", b"2")])
    assert must_run(reader, str(tmp_path)) == "b'1'"
    store.commit([("state", b"k", b"3")], sync=False)
    store.close()
    assert must_run(reader, str(tmp_path)) == "b'3'"


def test_bad_input_writes_nothing(tmp_path: Path) -> None:
    """One bad write spoils the whole commit."""
    store = must_open(tmp_path)
    for bad in [("state", b"", b"v"), ("state", b"k" * 512, b"v"), ("nowhere", b"k", b"v")]:
        with pytest.raises(InvalidInput):
            store.commit([("state", b"good", b"v"), bad])
    assert store.scan("state") == []
    with pytest.raises(InvalidInput, match="no table"):
        store.get("nowhere", b"k")


def test_the_map_grows_when_it_is_full(tmp_path: Path) -> None:
    """A single commit larger than the first map; a reader that was open before follows."""
    store = must_open(tmp_path)
    store.commit([("state", b"first", b"1")])
    code = """if True:
        import sys
        from hither_native import Store
        store = Store(sys.argv[1], tables=["state"], read_only=True)
        print(store.get("state", b"first"), flush=True)
        sys.stdin.readline()
        print(len(store.scan("state")), flush=True)
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdin is not None and child.stdout is not None
        assert child.stdout.readline() == "b'1'\n"
        value = os.urandom(1_000_000)
        store.commit([("state", b"%d" % index, value) for index in range(150)])
        child.stdin.write("\n")
        child.stdin.flush()
        assert child.stdout.readline() == "151\n"
    assert store.get("state", b"149") == value
    assert store.size_bytes() > 150_000_000


def test_second_writer_is_refused_by_name_of_the_first(tmp_path: Path) -> None:
    store = must_open(tmp_path)
    code = """if True:
        import sys
        from hither_native import Store, StoreError
        try:
            Store(sys.argv[1], tables=["state"])
        except StoreError as error:
            print(error)
    """
    message = must_run(code, str(tmp_path))
    assert f"process {os.getpid()} has it open" in message
    assert str(tmp_path) in message
    with pytest.raises(StoreError, match="has it open"):
        must_open(tmp_path)
    store.close()
    assert must_run(code, str(tmp_path)) == ""


def test_reader_neither_writes_nor_creates(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        must_open(tmp_path / "absent", read_only=True)
    assert not (tmp_path / "absent").exists()
    must_open(tmp_path).close()
    reader = must_open(tmp_path, read_only=True)
    with pytest.raises(InvalidInput, match="reading only"):
        reader.commit([("state", b"k", b"v")])


def test_closed_store_says_so(tmp_path: Path) -> None:
    store = must_open(tmp_path)
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.get("state", b"k")
    with pytest.raises(StoreError, match="closed"):
        store.commit([("state", b"k", b"v")])


def test_no_space_is_an_error_that_loses_nothing(tmp_path: Path) -> None:
    """The file may not grow: the commit fails as a whole, the ones before it stand."""
    code = """if True:
        import resource, sys
        from hither_native import Store, StoreError
        store = Store(sys.argv[1], tables=["state"])
        store.commit([("state", b"kept", b"1")])
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        writes = [("state", b"%d" % index, bytes(100_000)) for index in range(50)]
        try:
            store.commit([("state", b"kept", b"2"), *writes])
        except StoreError as error:
            print(error)
        assert store.scan("state") == [(b"kept", b"1")]
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.commit([("state", b"later", b"3")])
    """
    message = must_run(code, str(tmp_path))
    assert "no space left" in message and "earlier ones are kept" in message
    store = must_open(tmp_path)
    assert store.scan("state") == [(b"kept", b"1"), (b"later", b"3")]


@pytest.mark.parametrize("throwaway", [False, True])
def test_killed_writer_leaves_whole_commits(tmp_path: Path, throwaway: bool) -> None:
    """Both halves of a commit are there or neither, and what was reported is there."""
    code = f"""if True:
        import sys
        from hither_native import Store
        store = Store(sys.argv[1], tables=["blocks", "state"], throwaway={throwaway})
        for index in range(10_000):
            key = index.to_bytes(4, "big")
            store.commit([("blocks", key, bytes(2000)), ("state", key, bytes(2000))])
            print(index, flush=True)
    """
    child = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    for line in child.stdout:
        if int(line) == 25:
            break
    child.kill()
    reported = [25, *map(int, child.stdout.read().split())]
    child.wait()
    store = must_open(tmp_path)
    keys = [key for key, _ in store.scan("blocks")]
    assert keys == [key for key, _ in store.scan("state")]
    assert keys[-1] >= reported[-1].to_bytes(4, "big")


def test_many_unsynced_writes_do_not_pile_up_in_memory(tmp_path: Path) -> None:
    """Past 64 MB they go to disk by themselves."""
    store = must_open(tmp_path)
    for index in range(80):
        store.commit([("state", b"%d" % index, bytes(1_000_000))], sync=False)
    reader = must_run(
        "import sys; from hither_native import Store\n"
        "print(len(Store(sys.argv[1], tables=['state'], read_only=True).scan('state')))",
        str(tmp_path),
    )
    assert 60 < int(reader) < 80
    assert len(store.scan("state")) == 80


def test_what_waited_still_waits_after_a_failed_commit(tmp_path: Path) -> None:
    """No space: the unsynced write is not lost, and goes along when there is space again."""
    code = """if True:
        import resource, sys
        from hither_native import Store, StoreError
        store = Store(sys.argv[1], tables=["state"])
        store.commit([("state", b"waiting", b"1")], sync=False)
        resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, resource.RLIM_INFINITY))
        try:
            store.commit([("state", b"large", bytes(3_000_000))])
        except StoreError:
            print(store.get("state", b"waiting"), store.get("state", b"large"))
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        store.commit([("state", b"later", b"3")])
    """
    assert must_run(code, str(tmp_path)) == "b'1' None"
    assert must_open(tmp_path).scan("state") == [(b"later", b"3"), (b"waiting", b"1")]
