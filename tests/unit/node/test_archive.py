"""A packed home: what is refused, and that nothing is left of it."""

import io
import json
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from hither.chain.genesis import DevelopmentOptions
from hither.node.archive import ARCHIVE_FORMAT, InvalidArchive, load_home, save_home
from hither.node.fork.pin import ForkPin, write_pin
from hither.node.home import HomeProblem, init_home


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A file with a home whose database is one small file."""
    home = tmp_path / "home"
    init_home(home, DevelopmentOptions(), 0)
    (home / "data").mkdir()
    (home / "data/data.mdb").write_bytes(bytes(range(256)) * 20)
    file = tmp_path / "team.hither"
    (home / "data/contracts").mkdir()
    (home / "data/contracts/machine_code").write_bytes(b"x")
    # Without it a loaded fork would take accounts that it has not copied yet for missing ones.
    write_pin(home, ForkPin("http://127.0.0.1:1", "localnet", 88, 7, "1" * 32))
    save_home(home, file)
    return file


def write_archive(file: Path, members: dict[str, bytes]) -> None:
    """An archive with these members."""
    with tarfile.open(file, "w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def make_manifest(members: dict[str, bytes], format_name: str = ARCHIVE_FORMAT) -> dict[str, bytes]:
    """Members with the manifest before them."""
    hashes = {name: sha256(content).hexdigest() for name, content in members.items()}
    return {"manifest.json": json.dumps({"format": format_name, "sha256": hashes}).encode(), **members}


def test_loaded_home_is_the_saved_one(saved: Path, tmp_path: Path) -> None:
    """File by file; keys stay their owner's alone."""
    home = tmp_path / "other"
    home.mkdir()
    load_home(saved, home)
    assert not (home / "data/contracts").exists()
    files = [path for path in (tmp_path / "home").rglob("*.*") if path.is_file()]
    before = {path.relative_to(tmp_path / "home"): path for path in files}
    assert Path("fork.json") in before
    for name, path in before.items():
        assert (home / name).read_bytes() == path.read_bytes()
        assert (home / name).stat().st_mode == path.stat().st_mode
    with pytest.raises(HomeProblem, match="already"):
        load_home(saved, home)


def test_damaged_files_are_refused_at_every_place(saved: Path, tmp_path: Path) -> None:
    """Cut short or with one byte changed: nothing is left in the home, or what is there is what was saved."""
    whole = saved.read_bytes()
    damaged = [whole[:size] for size in range(0, len(whole) - 12, len(whole) // 25)]
    places = range(12, len(whole), len(whole) // 25)
    damaged += [whole[:place] + bytes([whole[place] ^ 0xFF]) + whole[place + 1 :] for place in places]
    refused = 0
    for index, content in enumerate(damaged):
        home = tmp_path / str(index)
        home.mkdir()
        saved.write_bytes(content)
        try:
            load_home(saved, home)
        except HomeProblem:
            refused += 1
            assert list(home.iterdir()) == []
        else:  # What was hit is the filling behind the last file.
            for name in ("genesis.json", "data/data.mdb"):
                assert (home / name).read_bytes() == (tmp_path / "home" / name).read_bytes()
    assert refused > len(damaged) - 5


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"manifest.json": b"{}"}, "not a snapshot"),
        ({"other.json": b"{}"}, "not a snapshot"),
        (make_manifest({}, "hither-snapshot-9"), "has format 'hither-snapshot-9'"),
        (make_manifest({"../evil": b"x"}), "which no snapshot does"),
        (make_manifest({"/tmp/evil": b"x"}), "which no snapshot does"),
        (make_manifest({"accounts/evil.json": b"x"}), "which no snapshot does"),
        (make_manifest({"data/contracts/evil": b"x"}), "which no snapshot does"),
        (make_manifest({"evil.sh": b"x"}), "which no snapshot does"),
        ({"manifest.json": make_manifest({"a.json": b"x"})["manifest.json"]}, "a.json is missing"),
        (make_manifest({"data/a": b"x"}) | {"data/a": b"y"}, "data/a is not what was saved"),
        (make_manifest({"a.json": b"x"}) | {"b.json": b"y"}, "which no snapshot does|missing"),
    ],
)
def test_foreign_files_are_refused(tmp_path: Path, members: dict[str, bytes], message: str) -> None:
    """Another format, names outside the home, files that the manifest does not know."""
    home, file = tmp_path / "home", tmp_path / "wrong.hither"
    home.mkdir()
    write_archive(file, members)
    with pytest.raises(InvalidArchive, match=message):
        load_home(file, home)
    assert list(home.iterdir()) == []
