"""``hither doctor``: what this machine lacks."""

import importlib
import os
import platform
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import click

from hither.cli.ports import describe_owner
from hither.cli.problems import home_option
from hither.foreign.engines.ports import is_free
from hither.sdk.endpoints import resolve_home

DEFAULT_PORT = 3030
DISK_FREE_BYTES_MIN = 2 * 10**9
FILES_MIN = 1024


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``advice`` is there when something has to be done."""

    name: str
    found: str
    advice: str | None = None


def examine(home: str | None) -> Iterator[Finding]:
    """Look at everything that a network needs."""
    python = platform.python_version()
    yield Finding("python", python, None if sys.version_info >= (3, 11) else "install Python 3.11 or newer")
    system = f"{platform.system()} {platform.machine()}"
    known = platform.system() == "Linux" and platform.machine() == "x86_64"
    yield Finding("system", system, None if known else "only Linux on x86-64 is tested")
    yield _examine_native()
    folder = resolve_home(home)
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    writable = os.access(existing, os.W_OK)
    yield Finding("home", str(folder), None if writable else "not writable; name another with --home")
    free = shutil.disk_usage(existing).free
    yield Finding("disk", f"{free / 10**9:.1f} GB free", None if free >= DISK_FREE_BYTES_MIN else "free 2 GB")
    if hasattr(os, "sysconf") and (count := os.sysconf("SC_OPEN_MAX")) >= 0:
        yield Finding("open files", str(count), None if count >= FILES_MIN else "raise it: ulimit -n 4096")
    if is_free(DEFAULT_PORT):
        yield Finding("port", f"{DEFAULT_PORT} is free")
    else:
        owner = f"{DEFAULT_PORT} is in use by {describe_owner(DEFAULT_PORT)}"
        yield Finding("port", owner, "stop it, or start with --port-offset 1")


def _examine_native() -> Finding:
    try:
        module = importlib.import_module("hither_native")
    except ImportError as error:
        return Finding("native module", str(error), "run `make setup` in the checkout, or install the wheel")
    return Finding("native module", str(module.__file__))


@click.command("doctor")
@home_option
def command(home: str | None) -> None:
    """Check this machine; exit code 1 if something has to be done."""
    findings = list(examine(home))
    for finding in findings:
        mark = "✗" if finding.advice else "✓"
        click.echo(f"{mark} {finding.name:<14}{finding.found}")
        if finding.advice:
            click.echo(f"  hint: {finding.advice}")
    if any(finding.advice for finding in findings):
        raise click.exceptions.Exit(1)
