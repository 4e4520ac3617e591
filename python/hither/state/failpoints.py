"""Named places where a test may end the process, as a power cut would.

``HITHER_FAILPOINT=name:count`` kills the process with SIGKILL when the place is reached for the
count-th time. Without the variable a place costs a comparison.
"""

import os
import signal

_NAME, _, _COUNT = os.environ.get("HITHER_FAILPOINT", "").partition(":")
_left = int(_COUNT or 1)


def reach(name: str) -> None:
    """Say that a place is reached."""
    global _left
    if name == _NAME:
        _left -= 1
        if _left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)
