"""Where set-up left programs and packages, outside of the checkout."""

import os
from pathlib import Path


def find_cache() -> Path:
    """$HITHER_CACHE, else ~/.cache/hither."""
    return Path(os.environ.get("HITHER_CACHE") or Path.home() / ".cache" / "hither")
