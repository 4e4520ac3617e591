"""The npm package `packages/hither`: its own tests, under Node's runner and Vitest, and its types."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

from hither.foreign.engines.ports import find_network_offset
from tests.e2e.cli.running import must_hither

pytestmark = pytest.mark.slow
PACKAGE = Path(__file__).resolve().parents[3] / "packages/hither"
TIMEOUT_S = 240


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has installed the package and the libraries: the package's own tests."""
    lock = (PACKAGE / "test/package-lock.json").read_bytes()
    cache = Path(os.environ.get("HITHER_CACHE") or Path.home() / ".cache/hither")
    libraries = cache / "typescript" / hashlib.sha256(lock).hexdigest()[:16]
    assert (libraries / "complete").exists(), "the libraries are not installed: run `make setup`"
    folder = tmp_path_factory.mktemp("project")
    shutil.copytree(PACKAGE / "test", folder, dirs_exist_ok=True)
    modules = folder / "node_modules"
    modules.mkdir()
    for library in (libraries / "node_modules").iterdir():
        (modules / library.name).symlink_to(library)
    shutil.copytree(PACKAGE, modules / "hither", ignore=shutil.ignore_patterns("test"))
    return folder


@pytest.fixture(scope="module")
def environment() -> dict[str, str]:
    return os.environ | {"HITHER_PROGRAM": str(Path(sys.executable).parent / "hither")}


def must_run(project: Path, environment: dict[str, str], *command: str) -> str:
    result = subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
    return result.stdout


def test_libraries_run_on_networks_that_the_package_starts(
    project: Path, environment: dict[str, str]
) -> None:
    """near-kit, near-api-js, viem, chainsig.js."""
    output = must_run(project, environment, "node", "--test", "--test-reporter=tap", "libraries.test.js")
    assert "# fail 0" in output
    assert "# skipped 0" in output


def test_libraries_run_on_a_node_alone(project: Path, environment: dict[str, str], tmp_path: Path) -> None:
    """`hither node run`, which nobody but a person has started; it is there afterwards."""
    must_hither("node", "init", "--shards", "2", "--protocol-version", "86", home=tmp_path)
    address = f"127.0.0.1:{3030 + find_network_offset()}"
    command = [environment["HITHER_PROGRAM"], "node", "run", "--rpc-addr", address, "--home", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as node:
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not (tmp_path / "endpoints.json").exists():
                assert node.poll() is None and time.monotonic() < deadline
                time.sleep(0.02)
            there = environment | {"HITHER_ENDPOINTS": str(tmp_path / "endpoints.json")}
            arguments = [
                "--test",
                "--test-reporter=tap",
                "--test-name-pattern=our chain alone",
                "libraries.test.js",
            ]
            output = must_run(project, there, "node", *arguments)
            assert "# fail 0" in output and "# pass 0" not in output
            assert node.poll() is None
        finally:
            node.terminate()


def test_vitest_gives_each_test_the_chain_as_it_was(project: Path, environment: dict[str, str]) -> None:
    """Through the fixture of `hither/vitest`."""
    arguments = [
        "run",
        "--testTimeout=60000",
        "vitest.spec.js",
    ]  # The first test waits for the network's start, too.
    output = must_run(project, environment, "node_modules/.bin/vitest", *arguments)
    assert "2 passed" in output


def test_what_the_readme_shows_runs(project: Path, environment: dict[str, str]) -> None:
    """Each example as it stands there, by the runner that it is for."""
    examples = re.findall(r"```js\n(.*?)```", (PACKAGE / "README.md").read_text(), re.DOTALL)
    node, vitest, chains = examples
    (project / "readme.test.mjs").write_text(node)
    (project / "readme.spec.mjs").write_text(vitest)
    (project / "chains.mjs").write_text('import { start } from "hither"\n' + chains)
    assert "# pass 1" in must_run(
        project, environment, "node", "--test", "--test-reporter=tap", "readme.test.mjs"
    )
    command = ["node_modules/.bin/vitest", "run", "--testTimeout=60000", "readme.spec.mjs"]
    assert "1 passed" in must_run(project, environment, *command)
    must_run(project, environment, "node", "chains.mjs")


def test_package_is_used_from_a_checkout_as_it_is(environment: dict[str, str], tmp_path: Path) -> None:
    """npm links its folder; nothing is built, and what is packed is what the types and the README speak of."""
    (tmp_path / "package.json").write_text('{"name": "mine", "private": true, "type": "module"}')
    npm = ["npm", "install", "--offline", "--no-audit", "--no-fund", "--silent", str(PACKAGE)]
    must_run(tmp_path, environment, *npm)
    assert (tmp_path / "node_modules/hither").resolve() == PACKAGE
    (tmp_path / "use.js").write_text(
        'import { start } from "hither"\nconst network = await start()\n'
        "console.log((await network.head()).height >= 0)\nawait network.stop()\n"
    )
    without = {name: value for name, value in environment.items() if name != "HITHER_PROGRAM"}
    assert must_run(tmp_path, without, "node", "use.js") == "true\n"
    packed = json.loads(must_run(PACKAGE, environment, "npm", "pack", "--dry-run", "--json", "--silent"))
    names = {file["path"] for file in packed[0]["files"]}
    assert names == set(json.loads((PACKAGE / "package.json").read_text())["files"]) | {"package.json"}


def test_types_are_what_they_promise(project: Path, environment: dict[str, str]) -> None:
    """The TypeScript compiler, strictly; a wrong use is refused."""
    must_run(project, environment, "node_modules/.bin/tsc", "--project", "tsconfig.json")


def test_network_ends_with_a_process_that_is_killed(project: Path, environment: dict[str, str]) -> None:
    """SIGKILL leaves nothing behind."""
    command = ["node", "killed.mjs"]
    with subprocess.Popen(
        command, cwd=project, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        started = json.loads(process.stdout.readline())
        assert httpx.get(f"{started['url']}/status").status_code == 200
        process.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while Path(f"/proc/{started['pid']}").exists():
        assert time.monotonic() < deadline, "the network still runs"
        time.sleep(0.05)
