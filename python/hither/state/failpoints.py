"""Named places where a test may end the process, as a power cut would.

``HITHER_FAILPOINT=name:count`` kills the process with SIGKILL when the place is reached for the
count-th time; ``name:count:milliseconds`` so long after that, in the middle of what begins there. Without the
variable a place costs a comparison.
"""

import os
import signal
import threading

_NAME, _COUNT, _DELAY_MS = (os.environ.get("HITHER_FAILPOINT", "").split(":") + ["", ""])[:3]
_left = int(_COUNT or 1)


def reach(name: str) -> None:
    """Say that a place is reached."""
    global _left
    if name == _NAME:
        _left -= 1
        if _left <= 0 and _DELAY_MS:
            threading.Timer(int(_DELAY_MS) / 1000, _die).start()
        elif _left <= 0:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
