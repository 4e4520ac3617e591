"""The documents as a site: it builds, each page is in it, and a link to nowhere stops it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]


def build(project: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """What `make docs` does, into another folder."""
    command = [Path(sys.executable).parent / "mkdocs", "build", "--strict", "--site-dir", str(site)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of what the site is made of."""
    folder = tmp_path / "project"
    shutil.copytree(ROOT / "docs", folder / "docs")
    (folder / "scripts").mkdir()
    for file in ("mkdocs.yml", "scripts/docs_navigation.py"):
        shutil.copy(ROOT / file, folder / file)
    return folder


def test_every_page_is_in_the_site_and_nothing_is_fetched(project: Path, tmp_path: Path) -> None:
    """Each document has its page; no page asks another host for a font or a script."""
    result = build(project, tmp_path / "site")
    assert result.returncode == 0, result.stderr
    for page in (project / "docs").rglob("*.md"):
        name = page.relative_to(project / "docs").with_suffix("")
        place = tmp_path / "site" / (name.parent if name.name == "index" else name) / "index.html"
        text = place.read_text()
        assert 'src="http' not in text, page
        assert '<link rel="stylesheet" href="http' not in text, page


def test_link_to_nowhere_stops_the_build(project: Path, tmp_path: Path) -> None:
    """Pages and headings both."""
    page = project / "docs/index.md"
    text = page.read_text()
    for link in ("[x](guides/no_such_page.md)", "[x](guides/first_steps.md#no-such-heading)"):
        page.write_text(f"{text}\n{link}\n")
        result = build(project, tmp_path / "site")
        assert result.returncode != 0, link
        assert "no" in result.stderr
