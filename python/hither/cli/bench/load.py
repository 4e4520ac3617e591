"""HTTP load by wrk: prepared bodies, each sent once, or one body again and again."""

import json
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hither.cli.bench.options import BenchmarkFailed
from hither.cli.bench.programs import find_tool

# Sends the lines of a file in turn until they or the time run out, then waits for what is under way.
_ONCE = """
local ffi = require("ffi")
ffi.cdef("typedef struct { long s; long u; } hither_time; int gettimeofday(hither_time *t, void *z);")
local clock = ffi.new("hither_time")
local function now() ffi.C.gettimeofday(clock, nil); return tonumber(clock.s) + tonumber(clock.u) / 1e6 end
local bodies, headers, length, limit = {}, {["Content-Type"] = "application/json"}, 0, 0
local sent, answered, refused, started = 0, 0, 0, 0
local is_tried, is_over = false, false
local rate, answered_at, PATIENCE = 0, 0, 5
function delay()
  if is_over then return 5 end
  return rate > 0 and math.max(0, (sent / rate - (now() - started)) * 1000) or 0
end
local function leave()
  -- wrk itself would sleep until its time is over.
  io.write(string.format('{"sent": %d, "refused": %d, "lost": %d, "started": %.6f, "ended": %.6f}\\n',
    sent, refused, sent - answered, started, answered_at))
  io.flush()
  os.exit(0)
end
function init(arguments)
  limit = tonumber(arguments[2])
  rate = tonumber(arguments[3])
  for line in io.lines(arguments[1]) do length = length + 1; bodies[length] = line end
end
function request()
  -- The first request is only looked at by wrk, not sent.
  if not is_tried then is_tried = true; return wrk.format("GET", "/health") end
  if started == 0 then started = now(); answered_at = started end
  if sent >= length or (sent % 64 == 0 and now() - started > limit) then is_over = true end
  if is_over then return wrk.format("GET", "/health") end
  sent = sent + 1
  return wrk.format("POST", "/", headers, bodies[sent])
end
function response(status, _, body)
  if body == "null" or body == "" then
    -- A connection that broke took its request along: nobody will answer it.
    if is_over and now() - answered_at > PATIENCE then leave() end
    return
  end
  answered, answered_at = answered + 1, now()
  if status ~= 200 or string.find(body, '"error"', 1, true) then refused = refused + 1 end
  if is_over and answered >= sent then leave() end
end
"""

_AGAIN = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
function init(arguments)
  local bodies = {}
  for line in io.lines(arguments[1]) do bodies[#bodies + 1] = wrk.format(nil, "/", nil, line) end
  local at = 0
  request = function() at = at % #bodies + 1; return bodies[at] end
end
function done(summary, latency)
  io.write(string.format('\\n{"requests": %d, "us": %d, "failed": %d, "p50_us": %d, "p99_us": %d}\\n',
    summary.requests, summary.duration,
    summary.errors.status + summary.errors.read + summary.errors.timeout + summary.errors.connect,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True, slots=True)
class Sent:
    """Bodies that were sent once: how many, how many answers were errors, how many there were none to, and
    between when and when (Unix time).
    """

    sent: int
    refused: int
    lost: int
    started: float
    ended: float


@dataclass(frozen=True, slots=True)
class Repeated:
    """Requests that were sent again and again."""

    per_second: float
    p50_ms: float
    p99_ms: float
    failed: int


def send_once(
    url: str, bodies: Iterable[bytes], folder: Path, connections: int, seconds: float, *, rate: float = 0
) -> Sent:
    """Send each body once over so many connections, until they or the seconds run out.

    As fast as they are answered, or ``rate`` a second.
    """
    words = _run_wrk(_ONCE, url, bodies, folder, connections, seconds + 60, str(seconds), str(rate))
    return Sent(**words)


def send_again(url: str, bodies: Iterable[bytes], folder: Path, connections: int, seconds: float) -> Repeated:
    """Send the bodies in turn over so many connections for so long."""
    words = _run_wrk(_AGAIN, url, bodies, folder, connections, seconds)
    rate = words["requests"] / words["us"] * 1e6
    return Repeated(rate, words["p50_us"] / 1e3, words["p99_us"] / 1e3, words["failed"])


def _run_wrk(
    script: str,
    url: str,
    bodies: Iterable[bytes],
    folder: Path,
    connections: int,
    seconds: float,
    *arguments: str,
) -> dict[str, Any]:
    folder = Path(tempfile.mkdtemp(dir=folder))
    (folder / "load.lua").write_text(script, encoding="utf-8")
    lines = folder / "bodies"
    with lines.open("wb") as file:
        file.writelines(body + b"\n" for body in bodies)
    command = [
        find_tool("wrk"),
        "-t1",
        f"-c{connections}",
        f"-d{max(1, round(seconds))}s",
        "--timeout",
        "30s",
    ]
    command += ["-s", str(folder / "load.lua"), url, "--", str(lines), *arguments]
    result = subprocess.run(command, capture_output=True, check=False)
    last = result.stdout.decode(errors="replace").strip().rpartition("\n")[2]
    try:
        words: dict[str, Any] = json.loads(last)
    except ValueError:
        raise BenchmarkFailed(f"wrk: {result.stderr.decode(errors='replace').strip() or last}") from None
    return words
