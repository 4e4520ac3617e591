"""``hither contracts new|build|test``, and ``deploy|call|view`` of ``calls``."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import click

from hither.cli.contracts.builders import BuildFailed, Built, build
from hither.cli.contracts.calls import COMMANDS
from hither.cli.contracts.project import SOURCES, Project, ProjectProblem, make_project, read_project
from hither.cli.problems import stop

folder_argument = click.argument(
    "folder", default=".", type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@click.group("contracts")
def command() -> None:
    """New contracts in Rust, C++, JavaScript or Python; build, test, deploy and call them."""


for one in COMMANDS:
    command.add_command(one)


@command.command("new")
@click.argument("name")
@click.option("--language", required=True, type=click.Choice(list(SOURCES)), help="What it is written in.")
@click.option(
    "--in",
    "parent",
    default=".",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="The folder to put it into [default: this one].",
)
def new(name: str, language: str, parent: Path) -> None:
    """Make a folder NAME with a contract that works, and its tests."""
    try:
        project = make_project(parent, name, language)
    except ProjectProblem as problem:
        stop(str(problem), "hither contracts new --help")
    click.echo(f"{project.folder} is a contract in {language}: {project.source.relative_to(project.folder)}")
    click.echo(f"build it:  hither contracts build {project.folder}")
    click.echo(f"test it:   hither contracts test {project.folder}")


@command.command("build")
@folder_argument
def build_command(folder: Path) -> None:
    """Build the contract in FOLDER [default: this one] to build/NAME.wasm.

    The first build in a language installs its compiler from packages; that needs the network and some minutes, and
    the next is quick.
    """
    _, built = must_build(folder)
    click.echo(f"{built.wasm}: {built.size_bytes:,} bytes in {built.seconds:.1f} s")


@command.command("test", context_settings={"ignore_unknown_options": True})
@folder_argument
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def test_command(folder: Path, options: tuple[str, ...]) -> None:
    """Build the contract in FOLDER and run its tests with pytest; OPTIONS go to pytest."""
    if importlib.util.find_spec("pytest") is None:
        stop("tests are run by pytest, which is not installed", f"{sys.executable} -m pip install pytest")
    project, _ = must_build(folder)
    pytest = [sys.executable, "-m", "pytest", "tests", *options]
    sys.exit(subprocess.run(pytest, cwd=project.folder, check=False).returncode)


def must_build(folder: Path) -> tuple[Project, Built]:
    """Build, or leave with the reason."""
    try:
        project = read_project(folder.resolve())
        return project, build(project)
    except ProjectProblem as problem:
        stop(str(problem), "hither contracts new --help")
    except BuildFailed as failure:
        stop(str(failure), "the last good build, if there was one, is as it was")
