"""`hither contracts`: a new contract in each language is built, tested, deployed, called, and gets a signature."""

import contextlib
import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hither.cli.contracts.builders import BuildFailed, build, check_wasm
from hither.cli.contracts.project import SOURCES, Project, ProjectProblem, make_project, read_project
from hither.client import ExecutionFailed
from hither.client.contract_abi import METHOD, read_abi
from hither.codec import base58
from hither.mpc.requests import EcdsaSignature, signature_from_json
from hither.testing import Chain, reverts
from hither.testing.network import LocalNetwork
from tests.e2e.cli.running import Network, network
from tests.e2e.mpc.test_signing import verify_ecdsa

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
LANGUAGES = tuple(SOURCES)
SIGNER_ID = "signer.test.near"
HINTS = {
    "rust": ("fn get", "fn get!", "src/lib.rs"),
    "cpp": ("NEAR_METHOD(get) {", "NEAR_METHOD(get) { nothing;", "use of undeclared identifier 'nothing'"),
    "javascript": ("export function get() {", "export function get( {", "contract.js:"),
    "python": ("def get(self):", "def get(self:", "contract.py, line"),
}


@pytest.fixture(scope="module")
def projects(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Project]:
    """One in each language, as `hither contracts new` makes them, built."""
    folder = tmp_path_factory.mktemp("contracts")
    made = {language: make_project(folder, f"my-{language}", language) for language in LANGUAGES}
    for project in made.values():
        build(project)
    return made


@pytest.fixture(scope="module", params=[86, 88])
def chain(request: pytest.FixtureRequest) -> Iterator[Chain]:
    """Of each protocol version that contracts in these languages are for."""
    with LocalNetwork(protocol_version=request.param) as running:
        yield Chain(running.url)


def run(*arguments: str) -> str:
    """`hither contracts` as a person types it, and what it prints."""
    programs = Path(sys.executable).parent
    environment = os.environ | {"PATH": f"{programs}:{os.environ['PATH']}"}
    result = subprocess.run(
        [programs / "hither", "contracts", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.parametrize("language", LANGUAGES)
def test_own_tests_of_a_new_contract_pass(language: str, tmp_path: Path) -> None:
    """`new` and `test` as a person types them; the second build says how big it is."""
    made = run("new", "first", "--language", language, "--in", str(tmp_path))
    assert "hither contracts build" in made
    assert "5 passed" in run("test", str(tmp_path / "first"), "-q")
    assert " bytes in " in run("build", str(tmp_path / "first"))


@pytest.mark.parametrize("language", LANGUAGES)
def test_contract_runs_on_both_protocols(language: str, projects: dict[str, Project], chain: Chain) -> None:
    """Storage, JSON, event, callback, failure, all through a client."""
    with chain.anchor():
        alice = chain.account("alice")
        counter = chain.deploy(projects[language].wasm)
        other = chain.deploy(projects[language].wasm, "other")
        result = alice.call(counter, "increment", {"by": 3})
        assert result.value == b"3"
        assert result.logs[0].startswith("EVENT_JSON:")
        alice.call(other, "increment", {"by": 40})
        assert alice.call(counter, "add_from", {"other": other.id}, gas="100 Tgas").value == b"43"
        assert counter.view("get") == 43
        with reverts("by is at most 100"):
            alice.call(counter, "increment", {"by": 300})
        with reverts("the other contract did not answer"):
            alice.call(counter, "add_from", {"other": "bob.near"}, gas="100 Tgas")
        with reverts():
            alice.call(counter, "on_answer", {})
        assert counter.view("get") == 43


def test_guide_says_what_a_contract_costs_in_each_language(projects: dict[str, Project]) -> None:
    """Bytes and gas within a hundredth; the time of a build is a quiet machine's, so nobody compares it here."""
    guide = (ROOT / "docs/guides/write_a_contract.md").read_text(encoding="utf-8")
    names = {"rust": "Rust", "cpp": "C++", "javascript": "JavaScript", "python": "Python"}
    with LocalNetwork() as network, contextlib.closing(Chain(network.url)) as chain:
        for language, project in projects.items():
            name = re.escape(names[language])
            row = re.search(rf"^\| {name} \| ([\d,]+) \| ([\d.]+) Tgas", guide, re.MULTILINE)
            assert row is not None, language
            size_bytes = int(row[1].replace(",", ""))
            assert project.wasm.stat().st_size == pytest.approx(size_bytes, rel=0.01), language
            contract = chain.deploy(project.wasm)
            result = chain.account("alice").call(contract, "increment", {"by": 3})
            assert result.gas_burnt == pytest.approx(float(row[2]) * 10**12, rel=0.01), language


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """With its signing nodes."""
    with network(tmp_path_factory.mktemp("home"), "--quiet", is_alone=False) as running:
        yield running


@pytest.mark.parametrize("language", LANGUAGES)
def test_contract_gets_a_signature_of_its_own(
    language: str, projects: dict[str, Project], running: Network
) -> None:
    """Under the key of the contract, which is not its caller's."""
    chain = Chain(running.url)
    contract = chain.deploy(projects[language].wasm)
    payload = hashlib.sha256(b"abroad").digest()
    arguments = {"signer": SIGNER_ID, "path": "savings", "payload": payload.hex()}
    with reverts("only the contract's own account may ask for a signature"):
        chain.account("alice").call(contract, "sign", arguments, gas="200 Tgas")
    result = contract.account.call(contract, "sign", arguments, gas="200 Tgas")
    signature = signature_from_json(result.value_json())
    assert isinstance(signature, EcdsaSignature)
    question = {"path": "savings", "predecessor": contract.id, "domain_id": 0}
    text = chain.client.view(SIGNER_ID, "derived_public_key", question).json()
    verify_ecdsa(base58.decode(text.partition(":")[2]), signature, payload)


@pytest.mark.parametrize("language", LANGUAGES)
def test_mistake_is_told_by_the_compiler_and_leaves_the_last_build(
    language: str, projects: dict[str, Project]
) -> None:
    """Its words first, ours after them."""
    project = projects[language]
    before, (right, wrong, expected) = project.wasm.read_bytes(), HINTS[language]
    text = project.source.read_text()
    assert right in text
    project.source.write_text(text.replace(right, wrong))
    try:
        with pytest.raises(BuildFailed) as failure:
            build(project)
    finally:
        project.source.write_text(text)
    assert expected in str(failure.value)
    assert "this is" in str(failure.value).splitlines()[-1]
    assert "node:internal" not in str(failure.value), "the bundler's own stack says nothing of the contract"
    assert project.wasm.read_bytes() == before


def test_two_builds_at_once_both_end_well(projects: dict[str, Project]) -> None:
    """The second waits for the first."""
    project = projects["cpp"]
    with ThreadPoolExecutor(3) as threads:
        builds = [threads.submit(build, project) for _ in range(3)]
    assert len({running.result().size_bytes for running in builds}) == 1
    assert project.wasm.read_bytes()[:4] == b"\0asm"


def test_two_projects_of_one_name_do_not_get_each_others_contract(tmp_path: Path) -> None:
    """Rust builds all in one folder; each project has what its own source says."""
    limits = {"8": "by is at most eight", "9": "by is at most nine!"}
    made = {}
    for limit, text in limits.items():
        (tmp_path / limit).mkdir()
        made[limit] = make_project(tmp_path / limit, "same", "rust")
        source = made[limit].source
        source.write_text(source.read_text().replace("by is at most 100", text))
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(build, made.values()))
    for limit, text in limits.items():
        assert text.encode() in made[limit].wasm.read_bytes()


def test_typescript_is_javascript_with_types(tmp_path: Path) -> None:
    """`src/contract.ts` in place of `src/contract.js`."""
    project = make_project(tmp_path, "typed", "javascript")
    text = project.source.read_text().replace("{ by = 1 })", "{ by = 1 }: { by?: number })")
    project.source.unlink()
    (project.folder / "src/contract.ts").write_text(text)
    with LocalNetwork() as running:
        chain = Chain(running.url)
        counter = chain.deploy(build(project).wasm)
        assert chain.account("alice").call(counter, "increment", {"by": 2}).value == b"2"


def test_python_of_two_modules_is_one_contract(tmp_path: Path) -> None:
    """The one imports the other; a module that is nowhere, and what only Python knows, are told with the place."""
    project = make_project(tmp_path, "parted", "python")
    text = project.source.read_text()
    project.source.write_text(text.replace("STEP_MAX = 100", "from limits import STEP_MAX"))
    limits = project.source.parent / "limits.py"
    limits.write_text("STEP_MAX = 7\n")
    wasm = build(project).wasm
    with LocalNetwork() as running, contextlib.closing(Chain(running.url)) as chain:
        counter = chain.deploy(wasm)
        alice = chain.account("alice")
        assert alice.call(counter, "increment", {"by": 7}).value == b"7"
        with reverts("by is at most 100"):
            alice.call(counter, "increment", {"by": 8})
        abi = read_abi(chain.client.view(counter.id, METHOD).value)
        assert {"increment", "get", "add_from", "sign"} <= abi.functions.keys()
    before = wasm.read_bytes()
    limits.write_text("import numpy.linalg\nSTEP_MAX = 7\n")
    with pytest.raises(BuildFailed, match=r"limits.py: no module named 'numpy.linalg'"):
        build(project)
    limits.write_text("STEP_MAX = 7\nmatch STEP_MAX:\n    case 7:\n        pass\n")
    with pytest.raises(BuildFailed, match=r"(?s)limits.py: line 2: match.*MicroPython does not know it"):
        build(project)
    assert wasm.read_bytes() == before


def test_javascript_that_is_no_method_says_so(tmp_path: Path) -> None:
    """A promise would be forgotten when the call ends; a constant cannot be called."""
    project = make_project(tmp_path, "late", "javascript")
    text = project.source.read_text()
    project.source.write_text(text + "export async function later() { return 1 }\nexport const LIMIT = 5\n")
    wasm = build(project).wasm
    with LocalNetwork() as running, contextlib.closing(Chain(running.url)) as chain:
        alice, counter = chain.account("alice"), chain.deploy(wasm)
        with reverts("later is async"):
            alice.call(counter, "later", {})
        with reverts("LIMIT is exported and no function"):
            alice.call(counter, "LIMIT", {})


def test_missing_tools_without_a_network_say_what_to_do(tmp_path: Path) -> None:
    """An empty cache, and nothing to download with."""
    make_project(tmp_path, "lonely", "cpp")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("bash", "mkdir", "cat", "dirname", "rm", "flock"):
        (programs / name).symlink_to(f"/usr/bin/{name}")
    environment = {"HITHER_CACHE": str(tmp_path / "cache"), "HOME": str(tmp_path), "PATH": str(programs)}
    command = [Path(sys.executable).parent / "hither", "contracts", "build", str(tmp_path / "lonely")]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "apt-get was not found" in result.stderr
    assert "the first build needs the network" in result.stderr


def test_libraries_without_a_network_say_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is kept of the registry, and nobody answers for it."""
    project = make_project(tmp_path, "lonely", "rust")
    monkeypatch.setenv("CARGO_HOME", str(tmp_path / "cargo"))
    monkeypatch.setenv("CARGO_NET_RETRY", "0")
    # The discard port: nobody listens.
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")
    with pytest.raises(
        BuildFailed, match=r"(?s)127.0.0.1.*this is cargo's message.*that build needs the network"
    ):
        build(project)


def test_projects_that_are_none_say_so(tmp_path: Path) -> None:
    """Names, languages, folders."""
    with pytest.raises(ProjectProblem, match="hither contracts new"):
        read_project(tmp_path)
    with pytest.raises(ProjectProblem, match="is no name"):
        make_project(tmp_path, "Bad Name", "rust")
    make_project(tmp_path, "good", "rust")
    with pytest.raises(ProjectProblem, match="there already"):
        make_project(tmp_path, "good", "cpp")
    (tmp_path / "good/contract.toml").write_text('name = "good"\nlanguage = "cobol"\n')
    with pytest.raises(ProjectProblem, match="language is one of rust, cpp"):
        read_project(tmp_path / "good/src")
    (tmp_path / "good/contract.toml").write_text('name = "good"')
    with pytest.raises(ProjectProblem, match="must say name"):
        read_project(tmp_path / "good")


def test_contract_that_no_transaction_can_carry_is_refused(tmp_path: Path) -> None:
    """With its size and the limit."""
    project = Project(tmp_path, "fat", "cpp")
    with pytest.raises(BuildFailed, match=r"1,600,004 bytes.*1,572,864"):
        check_wasm(b"\0asm" + bytes(1_600_000), project)
    with pytest.raises(BuildFailed, match="made no WebAssembly"):
        check_wasm(b"\x7fELF", project)


def test_features_that_the_vm_lacks_are_named_at_deployment(
    projects: dict[str, Project], chain: Chain
) -> None:
    """A module with SIMD does not prepare; NEAR's own words come to the caller."""
    simd = bytes.fromhex(
        "0061736d0100000001040160000003020100070801046d61696e00000a17011500fd0c0000000000000000000000"
        "00000000001a0b"
    )
    with chain.anchor():
        contract = chain.deploy(simd, "simd")
        with pytest.raises(ExecutionFailed, match=r"PrepareError|CompilationError"):
            chain.account("alice").call(contract, "main", {})
