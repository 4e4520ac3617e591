"""Build backend (PEP 517): maturin, over a folder laid out as the wheel will be.

maturin places an extension module inside a Python package or at the top of a wheel without one. This project
has both at the top, `hither` and `hither_native`, so the sources are staged as a plain extension module
whose package files are included by name.
"""

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import maturin

ROOT = Path(__file__).resolve().parent.parent
INCLUDED = '[{path = "hither/**/*", format = "wheel"}]'


@contextlib.contextmanager
def staged() -> Iterator[None]:
    """Work inside a folder with the package, the project file and the documents that it names."""
    before = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        stage = Path(folder)
        ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
        shutil.copytree(ROOT / "python/hither", stage / "hither", ignore=ignored)
        for name in ("README.md", "LICENSE", "rust/native/hither_native.pyi"):
            shutil.copy(ROOT / name, stage)
        project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
        table = f'[tool.maturin]\nmanifest-path = "{ROOT}/rust/native/Cargo.toml"\n'
        table += f'module-name = "hither_native"\ninclude = {INCLUDED}\nsbom = {{rust = false}}\n'
        project, count = re.subn(r"\[tool\.maturin\]\n(?:[a-z].*\n)*", lambda _: table, project)
        assert count == 1, "pyproject.toml has one [tool.maturin] table"
        (stage / "pyproject.toml").write_text(project, encoding="utf-8")
        os.chdir(stage)
        try:
            yield
        finally:
            os.chdir(before)


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Nothing beside what pyproject.toml names."""
    return []


def prepare_metadata_for_build_wheel(metadata_directory: str, config_settings: Any = None) -> str:
    """Write the metadata and return its folder's name."""
    target = str(Path(metadata_directory).resolve())
    with staged():
        return str(maturin.prepare_metadata_for_build_wheel(target, config_settings))


def build_wheel(
    wheel_directory: str, config_settings: Any = None, metadata_directory: str | None = None
) -> str:
    """Write the wheel and return its name."""
    target = str(Path(wheel_directory).resolve())
    with staged():
        return str(maturin.build_wheel(target, config_settings, None))
