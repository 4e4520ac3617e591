"""``HOME/endpoints.json``: how a program finds a running network, and the only way.

It is written at once, readable by its owner alone, when everything answers, and removed at exit. After a
crash it may be left behind; its process id tells.
"""

import json
import os
from pathlib import Path
from typing import Any

FILE_NAME = "endpoints.json"
DEFAULT_HOME = "~/.hither"
ACCOUNTS_FOLDER = "accounts"
TRANSFERS_FOLDER = "transfers"


class NoNetwork(Exception):
    """Nothing runs in that home directory."""


class NoKey(Exception):
    """No key of the account is kept in that home."""


def resolve_home(home: str | None) -> Path:
    """The home directory: the option, else $HITHER_HOME, else ~/.hither."""
    return Path(home or os.environ.get("HITHER_HOME") or DEFAULT_HOME).expanduser().absolute()


def shorten(path: Path) -> str:
    """A path as a person types it."""
    own = Path.home()
    return f"~/{path.relative_to(own).as_posix()}" if path.is_relative_to(own) else str(path)


def write_endpoints(home: Path, content: dict[str, Any]) -> None:
    """Replace the file in one step, mode 600: it holds keys."""
    temporary = home / f".{FILE_NAME}.{os.getpid()}"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(home / FILE_NAME)


def remove_endpoints(home: Path, process_id: int) -> None:
    """Remove the file if that process wrote it."""
    try:
        if json.loads((home / FILE_NAME).read_text(encoding="utf-8")).get("pid") == process_id:
            (home / FILE_NAME).unlink()
    except (FileNotFoundError, ValueError):
        return


def read_endpoints(home: Path) -> dict[str, Any]:
    """What runs in that home. Raises NoNetwork, also when the file's process is gone."""
    try:
        content = json.loads((home / FILE_NAME).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise NoNetwork(f"no network runs in {home}; start one with `hither up --home {home}`") from error
    except ValueError as error:
        raise NoNetwork(f"{home / FILE_NAME} is damaged; remove it and start the network again") from error
    if not is_running(content["pid"]):
        raise NoNetwork(
            f"the network in {home} has ended without cleaning up; start it again with `hither up`"
        )
    assert isinstance(content, dict)
    return content


def is_running(process_id: int) -> bool:
    """Whether a process of that id exists and is not a zombie."""
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    try:
        state = Path(f"/proc/{process_id}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return True  # Not Linux: the signal's word must do.
    return not state.rpartition(")")[2].lstrip().startswith("Z")


def read_created(home: Path) -> list[dict[str, Any]]:
    """The accounts that were created from this home, with their keys."""
    return [
        json.loads(path.read_text(encoding="utf-8"))
        for path in sorted((home / ACCOUNTS_FOLDER).glob("*.json"))
    ]


def read_keys(home: Path) -> dict[str, str]:
    """The secret keys by account that a home holds: those of the running network, and of accounts created here."""
    funded = read_endpoints(home)["near"]["accounts"]
    return {row["account_id"]: row["secret_key"] for row in [*funded, *read_created(home)]}
