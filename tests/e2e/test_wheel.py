"""The wheel: built here, installed where there is no compiler, and used there."""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from hither import __version__

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel() -> Path:
    """What `make wheel` makes."""
    subprocess.run([ROOT / "scripts/wheel"], check=True, stdin=subprocess.DEVNULL)
    (found,) = (ROOT / "dist").glob("hither-*.whl")
    return found


def test_wheel_is_for_any_later_python(wheel: Path) -> None:
    """One file for Python 3.11 and newer, with types for both packages and both programs."""
    assert wheel.name.startswith(f"hither-{__version__}-cp311-abi3-")
    names = zipfile.ZipFile(wheel).namelist()
    assert "hither/py.typed" in names
    assert "hither_native/__init__.pyi" in names
    assert not [name for name in names if "test" in name.split("/")[0] or name.endswith(".pyc")]
    (entries,) = (name for name in names if name.endswith("entry_points.txt"))
    text = zipfile.ZipFile(wheel).read(entries).decode()
    assert "hither=" in text
    assert "hither-sandbox=" in text
    assert "[pytest11]\nhither=hither.testing.plugin" in text


def test_installed_wheel_runs_without_a_compiler(wheel: Path, tmp_path: Path) -> None:
    """Requirements by their locks, the wheel on top; then a node begins a chain."""
    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv/bin"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CARGO", "RUST"))
    }
    environment |= {"PATH": str(programs), "HOME": str(tmp_path)}

    def run(*command: str | Path) -> str:
        result = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300, check=False
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    pip = (programs / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-deps")
    run(*pip, "--require-hashes", "-r", ROOT / "requirements/runtime.txt")
    run(*pip, wheel)
    assert run(programs / "hither", "--version") == f"hither {__version__}\n"
    home = str(tmp_path / "home")
    run(programs / "hither-sandbox", "--home", home, "init")
    program = (
        "import hither, hither_native, pathlib\n"
        "from hither.node.home import read_home\n"
        "from hither.node.node import Node\n"
        f"node = Node.open(read_home(pathlib.Path({home!r})))\n"
        "print(node.reader.chain_id, pathlib.Path(hither.__file__).parent.parent)\n"
    )
    chain_id, folder = run(programs / "python", "-c", program).split()
    assert chain_id == "localnet"
    assert Path(folder).is_relative_to(tmp_path)
    assert sys.prefix not in folder
