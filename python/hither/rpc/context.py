"""What every method is given: the chain to ask, the chain to tell, and the server's settings."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from hither import __version__
from hither.chain.reader import ChainControl, ChainReader
from hither.primitives.types import PublicKey
from hither.rpc.metrics import Metrics
from hither.rpc.parameters import Reader
from hither.rpc.state_cache import StateCache
from hither.state import DistantTrie
from hither.vm import Vm

WAIT_TIMEOUT_MS: Final = 10_000
BODY_SIZE_MAX: Final = 2 * 1024 * 1024
"""NEAR's node refuses larger bodies whatever its configuration says."""

ANNOUNCED_SIZE_MAX: Final = 10 * 1024 * 1024
"""Above this announced size NEAR's node words the refusal otherwise; its configuration may say another."""

VIEW_STATE_SIZE_MAX: Final = 50_000


class NodeVersion(msgspec.Struct, frozen=True):
    """What ``status`` tells about the program."""

    version: str
    build: str
    commit: str
    rustc_version: str


class RpcSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the server behaves. ``rpc_address`` is what ``status`` tells; None until it is bound.

    ``metrics_address``: where metrics alone are served as well.
    """

    rpc_address: str | None = None
    metrics_address: str | None = None
    wait_timeout_ms: int = WAIT_TIMEOUT_MS
    view_state_size_max: int | None = VIEW_STATE_SIZE_MAX
    view_gas_max: int | None = None
    view_timeout_ms: int = 10_000
    announced_size_max: int = ANNOUNCED_SIZE_MAX
    cors_allowed_origins: tuple[str, ...] = ("*",)
    node_public_key: PublicKey = PublicKey(0, bytes(32))
    is_fork: bool = False
    node_version: NodeVersion = NodeVersion(__version__, "hither", "unknown", "unknown")


class Context:
    """The surroundings of a request."""

    def __init__(
        self,
        reader: ChainReader,
        control: ChainControl,
        vm: Vm | None,
        settings: RpcSettings,
        now_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self.reader = reader
        self.control = control
        self.vm = vm
        self.states = StateCache(reader)
        self.settings = settings
        self.metrics = Metrics()
        self.now_seconds = now_seconds
        self.started_seconds = now_seconds()
        self.is_closing = False
        self.waiting: set[asyncio.Task[Any]] = set()

    def close(self) -> None:
        """Nobody waits for the chain any more: whoever does is answered as on time-out."""
        self.is_closing = True
        for task in self.waiting:
            task.cancel()

    @property
    def protocol_version(self) -> int:
        """The version that the chain started with; it never changes."""
        return self.reader.genesis.config.protocol_version

    @property
    def uptime_seconds(self) -> int:
        """How long the server has been there."""
        return int(self.now_seconds() - self.started_seconds)


Foreseen = tuple[DistantTrie, bytes]
"""A state and the key of a record in it."""


class Method(msgspec.Struct, frozen=True):
    """A method of the server: how its parameters are read, and what answers.

    ``answer(context, parameters)`` gives the result or raises ``RpcError``. One that waits is a
    coroutine function. ``is_long`` says of parameters whether answering may keep a core busy
    outside the interpreter lock; such requests run on a thread of their own. ``foresee`` says of parameters
    which record of a state in another process answering will read first, so that those of several requests are
    fetched together.
    """

    read: Reader[Any]
    answer: Callable[[Context, Any], Any]
    kind: Literal["at_once", "waits"] = "at_once"
    is_long: Callable[[Any], bool] | None = None
    is_development: bool = False
    foresee: Callable[[Context, Any], Foreseen | None] | None = None


def read_nothing(value: Any) -> None:
    """Methods without parameters take any."""
    del value
