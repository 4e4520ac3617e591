"""The product and its peers as processes of their own, and what they take."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from hither.cli.bench.options import BenchmarkFailed
from hither.cli.rpc import NodeUnreachable, RpcCaller, RpcFailed
from hither.foreign.cache import find_cache
from hither.foreign.engines.ports import find_free_port
from hither.sdk.endpoints import FILE_NAME

READY_S_MAX = 120
END_S_MAX = 30


def find_tool(name: str) -> str:
    """A program that set-up has put into the cache, or one on the path. Raises BenchmarkFailed."""
    found = find_cache() / "tools" / name
    path = str(found) if os.access(found, os.X_OK) else shutil.which(name)
    if path is None:
        raise BenchmarkFailed(f"{name} is missing: run `make setup`, or install it")
    return path


@contextlib.contextmanager
def run_program(arguments: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block, asked first and killed if it does not listen."""
    with log.open("wb") as output:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(END_S_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def run_node(home: Path, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], RpcCaller]]:
    """``hither node run`` on a home, ready to answer."""
    port = find_free_port()
    arguments = (*HITHER, "node", "run", "--home", str(home), "--rpc-addr", f"127.0.0.1:{port}")
    log = folder / "node.log"
    with run_program(arguments, log) as process:
        caller = RpcCaller(f"http://127.0.0.1:{port}", timeout_s=60)
        wait_until_ready(process, caller, "status", log)
        while not (home / FILE_NAME).exists():
            time.sleep(0.02)
        yield process, caller
        caller.close()


HITHER = (sys.executable, "-m", "hither.cli.main")


def wait_until_ready(
    process: subprocess.Popen[bytes], caller: RpcCaller, method: str, log: Path, *, interval_s: float = 0.02
) -> None:
    """Until a method answers. Raises BenchmarkFailed with the program's last words."""
    deadline = time.monotonic() + READY_S_MAX
    while time.monotonic() < deadline:
        try:
            caller.call(method, [])
            return
        except NodeUnreachable:
            if process.poll() is not None:
                break
            time.sleep(interval_s)
        except RpcFailed:
            time.sleep(interval_s)
    words = log.read_text(encoding="utf-8", errors="replace").strip()[-500:]
    raise BenchmarkFailed(f"{process.args!r} did not answer: {words or 'it said nothing'}")


def list_tree(process_id: int) -> list[int]:
    """A process and all below it."""
    found = [process_id]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                found += map(int, (task / "children").read_text(encoding="ascii").split())
    return found


def measure_memory_mb(process_id: int) -> tuple[float, float]:
    """Anonymous and shared memory of a process tree, and file-backed pages, in MB."""
    own = mapped = 0
    for member in list_tree(process_id):
        fields = dict(
            line.split(":", 1)
            for line in Path(f"/proc/{member}/status").read_text(encoding="utf-8").splitlines()
        )
        own += sum(int(fields[name].split()[0]) for name in ("RssAnon", "RssShmem"))
        mapped += int(fields["RssFile"].split()[0])
    return round(own / 1024, 1), round(mapped / 1024, 1)


def measure_peak_mb(process_id: int) -> float:
    """The most memory that one process ever had at a time, file-backed pages among it, in MB."""
    for line in Path(f"/proc/{process_id}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    raise AssertionError("the kernel tells VmHWM")


def measure_cpu_s(process_id: int) -> float:
    """Processor time that a process tree has used."""
    ticks = 0
    for member in list_tree(process_id):
        fields = Path(f"/proc/{member}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")
