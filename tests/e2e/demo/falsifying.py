"""A façade that tells everybody what an endpoint tells, but for one answer."""

import contextlib
from collections.abc import Callable
from typing import Any

from tests.e2e.sdk.odd_endpoints import odd_endpoint

Falsify = Callable[[Any], Any]


def falsified(url: str, method: str, falsify: Falsify) -> contextlib.AbstractContextManager[str]:
    """Where the façade answers. ``falsify`` makes the result of ``method`` another one; None stays."""
    return odd_endpoint(url, lambda asked, result: falsify(result) if asked == method else result)
