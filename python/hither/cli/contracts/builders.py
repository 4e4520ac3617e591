"""Building a contract: one function a language, from sources to bytes of wasm.

Toolchains are made of packages, in the cache, the first time a language is built (``toolchains/``).
"""

import ast
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hither import __version__
from hither.cli.contracts.near_abi import InvalidChunks, combine, compress, describe_package
from hither.cli.contracts.project import Project
from hither.foreign.cache import find_cache

TOOLCHAINS: Final = Path(__file__).parent / "toolchains"
SUPPORT: Final = Path(__file__).parent / "support"
TRANSACTION_SIZE_MAX: Final = 1_572_864
"""What deploys a contract is a transaction, and it may have so many bytes; the VM itself takes more."""
LOCK: Final = ".lock"
UNFINISHED: Final = ".unfinished"
RUST_TARGET: Final = "wasm32-unknown-unknown"
EMBEDDED: Final = "abi.zst"
NO_ABI: Final = (
    "The ABI tells tools which methods there are and of which types: give each type of a method "
    "#[near(serializers = [json])] (or borsh), or write `abi = false` into contract.toml to do without"
)
NEEDS_NETWORK: Final = "Libraries are downloaded at first: that build needs the network, later ones do not"
NOT_IN_MICROPYTHON: Final[Mapping[type[ast.stmt], str]] = {ast.Match: "match", ast.TryStar: "except*"}
_WASI: Final = "wasm32-wasi"
# Plain WebAssembly runs on every protocol version.
_MACHINE: Final = (f"--target={_WASI}", "-mcpu=mvp")


class BuildFailed(Exception):
    """The compiler's words, and ours after them."""


@dataclass(frozen=True)
class Built:
    """What a build made, and how long it took without the installation of tools."""

    wasm: Path
    size_bytes: int
    seconds: float


def say(text: str) -> None:
    """What takes long, on the standard error as the installers write it."""
    print(f"setup: {text}", file=sys.stderr, flush=True)


def install_toolchain(language: str) -> None:
    """Make the tools of a language unless they are there, and say so on the standard error. Raises BuildFailed."""
    environment = os.environ | {"HITHER_CACHE": str(find_cache()), "PYTHON": sys.executable}
    result = subprocess.run(
        ["bash", TOOLCHAINS / language], env=environment, stdin=subprocess.DEVNULL, check=False
    )
    if result.returncode:
        raise BuildFailed(
            f"the tools for contracts in {language} could not be installed (see above). They come from package "
            "registries, so the first build needs the network; run the command again when that is mended"
        )


def build(project: Project) -> Built:
    """Build a project's contract. Raises BuildFailed, ProjectProblem."""
    source = project.source
    install_toolchain(project.language)
    with only_one(project.build_folder / LOCK):
        started = time.monotonic()
        with whole_or_forgotten(project):
            wasm = BUILDERS[project.language](project, source)
        seconds = time.monotonic() - started
        check_wasm(wasm, project)
        # Renamed, so that an interrupted build leaves the last good one.
        unfinished = project.wasm.with_suffix(".new")
        unfinished.write_bytes(wasm)
        unfinished.replace(project.wasm)
    return Built(project.wasm, len(wasm), seconds)


@contextmanager
def only_one(lock: Path) -> Iterator[None]:
    """Two builds at once: the second waits."""
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


@contextmanager
def whole_or_forgotten(project: Project) -> Iterator[None]:
    """What a build that was interrupted has left half made is removed before the next; the last good wasm is not."""
    unfinished = project.build_folder / UNFINISHED
    if unfinished.exists():
        for path in project.build_folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path not in (project.wasm, project.build_folder / LOCK, unfinished):
                path.unlink()
    unfinished.touch()
    try:
        yield
    except BuildFailed:
        unfinished.unlink()  # The compiler has ended by itself.
        raise
    unfinished.unlink()


def check_wasm(wasm: bytes, project: Project) -> None:
    """What no chain would take is refused here. Raises BuildFailed."""
    if wasm[:4] != b"\0asm":
        raise BuildFailed(f"the compiler made no WebAssembly of {project.name}")
    if len(wasm) > TRANSACTION_SIZE_MAX:
        raise BuildFailed(
            f"{project.name}.wasm has {len(wasm):,} bytes; a transaction that deploys it may have "
            f"{TRANSACTION_SIZE_MAX:,}. Leave out libraries that it does not need"
        )


def run(
    command: list[str | Path], folder: Path, hint: str, environment: Mapping[str, str] | None = None
) -> str:
    """Run a step and return what it printed. Raises BuildFailed with the compiler's own words, then ``hint``."""
    result = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        raise BuildFailed(f"{result.stdout.rstrip()}\n\n{hint}")
    return result.stdout


def build_cpp(project: Project, source: Path) -> bytes:
    """C++17 with the standard library, without exceptions, over NEAR's host functions (``near.hpp``)."""
    objects = [
        compile_c(path, project, "this is the compiler's message; NEAR's functions are in near.hpp")
        for path in (
            *sorted(source.parent.glob("*.c")),
            *sorted(source.parent.glob("*.cpp")),
            SUPPORT / "cpp/wasi.c",
        )
    ]
    return link(project, objects, 64 * 1024)


def compile_c(path: Path, project: Project, hint: str, extra: Sequence[str] = ()) -> Path:
    """One source of C or C++ to an object."""
    tools = find_cache() / "cpp-toolchain"
    system = tools / "root/usr"
    output = project.build_folder / f"{path.name}.o"
    flags: list[str | Path] = ["-Oz", "-Wall", "-Wno-unused-parameter", f"-I{SUPPORT / 'cpp'}", *extra]
    program = "clang"
    if path.suffix == ".cpp":
        # RapidJSON 1.1 has a template that is wrong where nobody uses it; clang 19 looks only if not told otherwise.
        flags += ["-std=c++17", "-fdelayed-template-parsing", "-fno-exceptions", "-fno-rtti"]
        flags += ["-isystem", system / f"lib/llvm-19/include/{_WASI}/c++/v1"]
        program = "clang++"
    flags += ["-isystem", system / f"include/{_WASI}", "-isystem", system / "include"]
    run([tools / "bin" / program, *_MACHINE, *flags, "-c", path, "-o", output], project.folder, hint)
    return output


def link(project: Project, objects: list[Path], stack_size: int) -> bytes:
    """Objects to a contract. The stack lies first, so that too deep a recursion traps and overwrites nothing."""
    tools = find_cache() / "cpp-toolchain"
    llvm = tools / "root/usr/lib/llvm-19/lib"
    output = project.build_folder / "linked.wasm"
    command: list[str | Path] = [tools / "bin/wasm-ld", "--no-entry", "--strip-all", "--stack-first", "-z"]
    command += [f"stack-size={stack_size}", *objects]
    command += [f"-L{llvm / _WASI}", f"-L{tools / 'root/usr/lib' / _WASI}", "-lc++", "-lc++abi", "-lc", "-lm"]
    command += [llvm / "clang/19/lib/wasi/libclang_rt.builtins-wasm32.a", "-o", output]
    run(
        command, project.folder, "the parts could not be linked: a function that is declared and not defined?"
    )
    return output.read_bytes()


def build_javascript(project: Project, source: Path) -> bytes:
    """QuickJS and the bytecode of the contract, its modules bundled by esbuild; TypeScript loses its types."""
    tools = find_cache() / "javascript-toolchain"
    folder = project.build_folder
    entry = folder / "entry.js"
    entry.write_text(
        f'import {{ serve }} from "near"\nimport * as methods from "../src/{source.name}"\nserve(methods)\n'
    )
    # The program itself: the command of the package tells a mistake with a stack of its own after it.
    (program,) = (tools / "npm/node_modules/@esbuild").glob("*/bin/esbuild")
    esbuild: list[str | Path] = [program, "--bundle", "--target=es2020"]
    esbuild += [
        f"--alias:near={SUPPORT / 'javascript/near.js'}",
        "--log-level=warning",
        f"--metafile={folder / 'meta.json'}",
    ]
    hint = 'this is what esbuild says of the contract; NEAR\'s functions come from "near"'
    run([*esbuild, source, "--format=esm", f"--outfile={folder / 'module.js'}"], project.folder, hint)
    (output,) = json.loads((folder / "meta.json").read_text())["outputs"].values()
    methods = output["exports"]
    if not methods:
        raise BuildFailed(f"{source.name} exports no function, so the contract would have no method")
    run([*esbuild, entry, "--format=iife", f"--outfile={folder / 'script.js'}"], project.folder, hint)
    code = folder / "code.c"
    run(
        [tools / "bin/bytecode", folder / "script.js", code],
        project.folder,
        "this is what QuickJS says of the contract",
    )
    exports = folder / "exports.c"
    exports.write_text(
        "void contract_call(const char *method);\n"
        + "".join(
            f'__attribute__((export_name("{name}"))) void method_{index}(void) {{ contract_call("{name}"); }}\n'
            for index, name in enumerate(methods)
        )
    )
    glue = SUPPORT / "javascript/glue.c"
    hint = "a part of ours did not compile; that is our mistake"
    engine = ["-w", "-DEMSCRIPTEN", "-DCONFIG_BIGNUM", f"-I{tools / 'quickjs'}"]
    objects = [
        compile_c(path, project, hint, engine) for path in (code, exports, glue, SUPPORT / "cpp/wasi.c")
    ]
    return link(project, [*objects, *sorted((tools / "objects").glob("*.o"))], 256 * 1024)


def build_rust(project: Project, source: Path) -> bytes:
    """near-sdk, with the toolchain and the flags of the contracts of this repository, and its ABI embedded."""
    manifest = read_manifest(project)
    name = manifest.get("lib", {}).get("name") or manifest["package"]["name"].replace("-", "_")
    # One folder for all contracts: near-sdk is compiled once, which takes a minute and a half.
    folder = find_cache() / "contracts-target"
    with only_one(folder.with_suffix(".lock")):
        if not (folder / RUST_TARGET / "release").exists():
            say("compiling near-sdk for the first time (a minute and a half)")
        features: list[str] = []
        if is_abi_wanted(project, manifest):
            embed_abi(project, manifest, name, folder)
            features = ["--features", "near-sdk/__abi-embed"]
        run_cargo(project, folder, "--release", "--target", RUST_TARGET, *features)
        return (folder / RUST_TARGET / "release" / f"{name}.wasm").read_bytes()


def read_manifest(project: Project) -> dict[str, Any]:
    """``Cargo.toml``. Raises BuildFailed."""
    path = project.folder / "Cargo.toml"
    try:
        manifest = tomllib.loads(path.read_text())
        manifest["package"]["name"].encode()
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BuildFailed(f"{path}: {error}\n\ncargo needs a [package] with a name in it") from error
    return manifest


def is_abi_wanted(project: Project, manifest: Mapping[str, Any]) -> bool:
    """A contract over near-sdk carries its ABI unless ``contract.toml`` says otherwise."""
    return project.has_abi and "near-sdk" in manifest.get("dependencies", {})


def embed_abi(project: Project, manifest: Mapping[str, Any], name: str, folder: Path) -> None:
    """Ask the contract, built for this machine, for its methods, and leave the ABI where near-sdk takes it from.

    cargo-near's way: https://github.com/near/cargo-near. The place is one for all contracts, since near-sdk's macros
    keep its name for good.
    """
    try:
        run_cargo(project, folder, "--features", "near-sdk/__abi-generate")
    except BuildFailed as failure:
        if "JsonSchema" in str(failure) or "BorshSchema" in str(failure):
            raise BuildFailed(f"{failure}. {NO_ABI}") from failure
        raise
    library = folder / f"debug/lib{name}.so"
    reader: list[str | Path] = [sys.executable, SUPPORT / "rust/read_abi.py", library]
    chunks = json.loads(
        run(reader, project.folder, "the contract's methods could not be asked for their ABI")
    )
    compiler = run([find_cache() / "wasm-toolchain/bin/rustc", "--version"], project.folder, "").strip()
    metadata = describe_package(manifest["package"], compiler, f"hither {__version__}")
    try:
        abi = combine(chunks, metadata)
    except InvalidChunks as error:
        raise BuildFailed(f"{project.name} has no ABI: {error}\n\n{NO_ABI}") from error
    write_if_new(project.abi, (json.dumps(abi, indent=2, ensure_ascii=False) + "\n").encode())
    write_if_new(folder / EMBEDDED, compress(abi))


def write_if_new(path: Path, content: bytes) -> None:
    """What is as it was keeps its time, so cargo builds nothing because of it; half of it is never seen."""
    if path.exists() and path.read_bytes() == content:
        return
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.write_bytes(content)
    unfinished.replace(path)


def run_cargo(project: Project, folder: Path, *options: str) -> None:
    """Compile the contract into a folder. Raises BuildFailed."""
    tools = find_cache() / "wasm-toolchain"
    environment = {name: value for name, value in os.environ.items() if "RUSTFLAGS" not in name}
    environment |= {
        "RUSTC": str(tools / "bin/rustc"),
        "RUSTC_WRAPPER": "",
        "CARGO_TARGET_DIR": str(folder),
        "CARGO_PROFILE_DEV_DEBUG": "0",
        "CARGO_NEAR_ABI_PATH": str(folder / EMBEDDED),
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER": str(tools / "bin/wasm-ld"),
        # near-sdk calls the host only where `near` is set; without it, it falls back on Rust's own panics.
        "CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS": "-Ctarget-cpu=mvp --cfg=near",
    }
    command: list[str | Path] = [tools / "bin/cargo", "rustc", "--lib", "--quiet", *options]
    command += ["--crate-type", "cdylib"]
    # In one folder cargo takes two packages of one name for the same: it would keep the other's contract when that is
    # newer than this source. What is handed to the compiler tells them apart.
    own = hashlib.sha256(bytes(project.folder.resolve())).hexdigest()
    command += ["--", "--cfg", f'hither_project="{own}"']
    try:
        run(command, project.folder, "this is cargo's message", environment)
    except BuildFailed as failure:
        if any(words in str(failure) for words in ("unable to update registry", "failed to download")):
            raise BuildFailed(f"{failure}. {NEEDS_NETWORK}") from failure
        raise


def build_python(project: Project, source: Path) -> bytes:
    """MicroPython with the contract's modules frozen into it, by nearc."""
    tools = find_cache() / "python-toolchain"
    folder = project.build_folder / "python"
    if not folder.exists():
        # MicroPython's objects are the same for all contracts; their times must stay, or all is compiled again.
        shutil.copytree(tools / "prepared/build", folder / "build", symlinks=True)
    modules = sorted(path.relative_to(source.parent) for path in source.parent.rglob("*.py"))
    for module in modules:
        check_python(source.parent / module)
        copy = folder / module
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.parent / module, copy)
    output = folder / "contract.wasm"
    output.unlink(missing_ok=True)
    environment = os.environ | {"PATH": f"{tools / 'bin'}:{os.environ['PATH']}"}
    command: list[str | Path] = [
        tools / "venv/bin/python",
        SUPPORT / "python/compile.py",
        folder / source.name,
        output,
    ]
    command += [module for module in modules if module != Path(source.name)]
    run(
        command,
        folder,
        "this is what nearc says; it takes what MicroPython 1.2x knows of Python",
        environment,
    )
    return output.read_bytes()


def check_python(path: Path) -> None:
    """What Python refuses, or knows and MicroPython does not, is told with its line. Raises BuildFailed."""
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes(), path.name)))
    except (SyntaxError, ValueError) as error:
        raise BuildFailed(
            f"{path}: {error}\n\nthis is Python's message, before anything was compiled"
        ) from error
    for node in nodes:
        for kind, name in NOT_IN_MICROPYTHON.items():
            if isinstance(node, kind):
                raise BuildFailed(
                    f"{path}: line {node.lineno}: {name}\n\n"
                    "this is Python, and MicroPython does not know it; write it otherwise"
                )


BUILDERS: Final[Mapping[str, Callable[[Project, Path], bytes]]] = {
    "cpp": build_cpp,
    "javascript": build_javascript,
    "python": build_python,
    "rust": build_rust,
}
