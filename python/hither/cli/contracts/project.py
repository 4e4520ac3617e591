"""A contract's folder: ``contract.toml`` with its name and language, ``src/``, ``tests/``; ``build/`` is made."""

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PROJECT_FILE: Final = "contract.toml"
TEMPLATES: Final = Path(__file__).parent / "templates"
NAME_LENGTH_MAX: Final = 40
# The file of a template that stands for all languages: the same test, since the contracts do the same.
COMMON: Final = "common"

SOURCES: Final = {
    "rust": "src/lib.rs",
    "cpp": "src/contract.cpp",
    "javascript": "src/contract.js",
    "python": "src/contract.py",
}
"""Languages, and the file that a build starts from. A contract in JavaScript may be TypeScript: ``src/contract.ts``."""


class ProjectProblem(Exception):
    """What is wrong with a project, and what to do."""


@dataclass(frozen=True)
class Project:
    """One contract."""

    folder: Path
    name: str
    language: str
    has_abi: bool = True

    @property
    def build_folder(self) -> Path:
        """Where everything that a build makes lies."""
        return self.folder / "build"

    @property
    def wasm(self) -> Path:
        """What a build makes."""
        return self.build_folder / f"{self.name}.wasm"

    @property
    def abi(self) -> Path:
        """What a build in Rust makes beside it: the methods and their types, as JSON."""
        return self.build_folder / f"{self.name}_abi.json"

    @property
    def source(self) -> Path:
        """The file that a build starts from. Raises ProjectProblem."""
        first = self.folder / SOURCES[self.language]
        choices = [first, first.with_suffix(".ts")] if self.language == "javascript" else [first]
        for path in choices:
            if path.exists():
                return path
        raise ProjectProblem(f"{first} is not there; a contract in {self.language} begins in it")


def read_project(folder: Path) -> Project:
    """The project in a folder or above it. Raises ProjectProblem."""
    for place in (folder, *folder.parents):
        path = place / PROJECT_FILE
        if path.exists():
            break
    else:
        raise ProjectProblem(
            f"{folder} is no contract: it has no {PROJECT_FILE}. Make one: hither contracts new NAME --language rust"
        )
    try:
        fields = tomllib.loads(path.read_text())
        name, language = fields["name"], fields["language"]
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, KeyError) as error:
        raise ProjectProblem(f"{path} must say name = … and language = …: {error}") from error
    if language not in SOURCES:
        raise ProjectProblem(f"{path}: language is one of {', '.join(SOURCES)}, not {language!r}")
    check_name(name)
    has_abi = fields.get("abi", True)
    if not isinstance(has_abi, bool):
        raise ProjectProblem(f"{path}: abi is true or false, not {has_abi!r}")
    return Project(place, name, language, has_abi)


def check_name(name: object) -> None:
    """A name that can be a crate, a file and an account. Raises ProjectProblem."""
    if not isinstance(name, str) or not re.fullmatch(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*", name):
        raise ProjectProblem(
            f"{name!r} is no name: write lower-case letters and digits, with single - or _ between"
        )
    if len(name) > NAME_LENGTH_MAX:
        raise ProjectProblem(f"{name!r} is longer than {NAME_LENGTH_MAX} letters")


def make_project(folder: Path, name: str, language: str) -> Project:
    """A new folder with a contract that works, and its tests. Raises ProjectProblem."""
    check_name(name)
    if language not in SOURCES:
        raise ProjectProblem(f"language is one of {', '.join(SOURCES)}, not {language!r}")
    target = folder / name
    if target.exists():
        raise ProjectProblem(f"{target} is there already; choose another name or remove it")
    for template in (TEMPLATES / COMMON, TEMPLATES / language):
        for source in sorted(template.rglob("*")):
            if source.is_file() and "__pycache__" not in source.parts:
                path = target / source.relative_to(template)
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, path)
                if source.suffix in (".toml", ".lock", ".py", ".md"):
                    path.write_text(path.read_text().replace("{{name}}", name))
    (target / PROJECT_FILE).write_text(f'name = "{name}"\nlanguage = "{language}"\n')
    (target / ".gitignore").write_text("build/\n")
    return Project(target, name, language)
