"""Counters of the server in Prometheus' text form. Names are those of NEAR's node."""

from bisect import bisect_left
from collections import Counter
from typing import Final

BUCKETS_SECONDS: Final = tuple(0.001 * 2**power for power in range(16))


class _Timing:
    """How long a method took, as a histogram."""

    __slots__ = ("counts", "total_seconds")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS_SECONDS) + 1)
        self.total_seconds = 0.0


class Metrics:
    """Counted since the server started; used from one thread."""

    def __init__(self) -> None:
        self.timings: dict[str, _Timing] = {}
        self.errors: Counter[tuple[str, int]] = Counter()
        self.waits: Counter[tuple[str, str]] = Counter()
        self.timeouts = 0
        self.status_requests = 0
        self.metrics_requests = 0

    def observe(self, method: str, seconds: float) -> None:
        """One request was answered."""
        timing = self.timings.get(method)
        if timing is None:
            timing = self.timings[method] = _Timing()
        timing.counts[bisect_left(BUCKETS_SECONDS, seconds)] += 1
        timing.total_seconds += seconds

    def render(self, gauges: dict[str, tuple[str, float]]) -> str:
        """Everything, and the ``gauges`` given (name to help text and value)."""
        lines: list[str] = []

        def declare(name: str, kind: str, text: str) -> None:
            lines.append(f"# HELP {name} {text}")
            lines.append(f"# TYPE {name} {kind}")

        declare("near_rpc_total_count", "counter", "Requests received, by method")
        for method, timing in self.timings.items():
            lines.append(f'near_rpc_total_count{{method="{method}"}} {sum(timing.counts)}')
        declare("near_rpc_error_count", "counter", "Requests refused, by method and code")
        for (method, code), count in self.errors.items():
            lines.append(f'near_rpc_error_count{{method="{method}",err_code="{code}"}} {count}')
        declare("near_rpc_wait_until_count", "counter", "Requests that wait for a transaction")
        for (method, until), count in self.waits.items():
            lines.append(f'near_rpc_wait_until_count{{method="{method}",wait_until="{until}"}} {count}')
        declare("near_rpc_processing_time", "histogram", "Seconds taken to answer, by method")
        for method, timing in self.timings.items():
            lines.extend(_render_histogram(method, timing))
        for name, text, value in (
            ("near_rpc_timeout_total", "Requests that ended by time-out", self.timeouts),
            ("near_http_status_requests_total", "GET /status", self.status_requests),
            ("near_http_prometheus_requests_total", "GET /metrics", self.metrics_requests),
        ):
            declare(name, "counter", text)
            lines.append(f"{name} {value}")
        for name, (text, level) in gauges.items():
            declare(name, "gauge", text)
            lines.append(f"{name} {level}")
        return "\n".join(lines) + "\n"


def _render_histogram(method: str, timing: _Timing) -> list[str]:
    lines, total = [], 0
    for limit, count in zip((*BUCKETS_SECONDS, None), timing.counts, strict=True):
        total += count
        bound = "+Inf" if limit is None else f"{limit:g}"
        lines.append(f'near_rpc_processing_time_bucket{{method="{method}",le="{bound}"}} {total}')
    lines.append(f'near_rpc_processing_time_sum{{method="{method}"}} {timing.total_seconds}')
    lines.append(f'near_rpc_processing_time_count{{method="{method}"}} {total}')
    return lines
