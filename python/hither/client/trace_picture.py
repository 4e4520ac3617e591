"""A trace as a picture for documents: a lane a shard, heights downwards, receipts as boxes, arrows to what they caused.

Plain SVG with its own colours, without scripts or fonts of its own. Pure: text comes out.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final
from xml.sax.saxutils import escape

from hither.client.receipt_tree import (
    RECEIPTS_MAX,
    describe_actions,
    describe_receipt,
    format_gas,
    get_failure,
    make_printable,
)
from hither.client.trace import Json, Trace, describe_changes, list_outcomes

MARGIN: Final = 16
LABEL_WIDTH: Final = 76
HEAD_HEIGHT: Final = 40
BOX_WIDTH: Final = 236
BOX_HEIGHT: Final = 62
LANE_WIDTH: Final = BOX_WIDTH + 44
GAP: Final = 30
LETTERS_MAX: Final = 30
_STYLE: Final = """
text{font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace;fill:#1f2328}
.head{font-weight:600}.dim{fill:#656d76}.bad{fill:#b42318}
.lane{fill:#f6f8fa}.row{stroke:#d8dee4;stroke-dasharray:2 4}
.box{fill:#fff;stroke:#1a7f5a;stroke-width:1.5}.box.failed{stroke:#b42318}.box.refund{stroke:#8c959f}
.arrow{fill:none;stroke:#57606a;stroke-width:1.2;marker-end:url(#head)}
"""


@dataclass(frozen=True)
class Box:
    """A receipt, or the transaction, where it is drawn. ``row`` and ``lane`` count from zero."""

    title: str
    what: str
    below: str
    tip: str
    kind: str
    row: int
    lane: int
    x: int = 0
    y: int = 0


def draw_trace(trace: Trace) -> str:
    """The picture of a transaction that has been executed. Raises ``ValueError`` for one that waits."""
    items = {item["id"]: item for item in list_outcomes(trace.status)[: RECEIPTS_MAX + 1]}
    if not items:
        raise ValueError("the transaction has not run yet")
    depths = compute_depths(items)
    heights = {id_: trace.get_height(item) for id_, item in items.items()}
    is_known = None not in heights.values()
    places = {
        id_: (height if is_known and height is not None else depths[id_]) for id_, height in heights.items()
    }
    rows = sorted(set(places.values()))
    names = {id_: trace.get_shard_id(item["outcome"]["executor_id"]) for id_, item in items.items()}
    lanes = sorted(set(names.values()), key=lambda shard_id: -1 if shard_id is None else shard_id)
    boxes = {
        id_: _make_box(trace, item, row=rows.index(places[id_]), lane=lanes.index(names[id_]))
        for id_, item in items.items()
    }
    boxes, edges_y, bottom = _place(boxes, len(rows))
    width = LABEL_WIDTH + LANE_WIDTH * len(lanes) + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {bottom}" width="{width}" height="{bottom}">',
        f"<title>transaction {escape(str(trace.status['transaction']['hash']))}</title>",
        f"<style>{_STYLE}</style>",
        '<defs><marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0L8 4L0 8z" fill="#57606a"/></marker></defs>',
        f'<rect width="{width}" height="{bottom}" fill="#fff"/>',
    ]
    for index, shard_id in enumerate(lanes):
        x = MARGIN + LABEL_WIDTH + LANE_WIDTH * index
        name = "shard unknown" if shard_id is None else f"shard {shard_id}"
        size = f'width="{LANE_WIDTH - 8}" height="{bottom - 2 * MARGIN}"'
        lines.append(f'<rect class="lane" x="{x + 4}" y="{MARGIN}" {size} rx="6"/>')
        lines.append(
            f'<text class="head" x="{x + LANE_WIDTH // 2}" y="{MARGIN + 24}" text-anchor="middle">{name}</text>'
        )
    for row, y in zip(rows, edges_y, strict=True):
        label = f"block {row}" if is_known else f"step {row}"
        lines.append(f'<line class="row" x1="{MARGIN}" x2="{width - MARGIN}" y1="{y}" y2="{y}"/>')
        lines.append(f'<text class="dim" x="{MARGIN}" y="{y + 18}">{label}</text>')
    lines += _draw_arrows(items, boxes)
    for box in boxes.values():
        lines += _draw_box(box)
    return "\n".join([*lines, "</svg>", ""])


def compute_depths(items: Mapping[str, Json]) -> dict[str, int]:
    """How far each is from the transaction, which comes first; parents are listed before what they caused or not."""
    depths = {next(iter(items)): 0}
    waiting = list(depths)
    for id_ in waiting:  # Grows while it is walked.
        for child in items[id_]["outcome"]["receipt_ids"]:
            if child in items and child not in depths:
                depths[child] = depths[id_] + 1
                waiting.append(child)
    return {id_: depths.get(id_, 0) for id_ in items}


def _make_box(trace: Trace, item: Json, *, row: int, lane: int) -> Box:
    status, outcome = trace.status, item["outcome"]
    failure = get_failure(outcome["status"])
    if item["id"] == status["transaction_outcome"]["id"]:
        what = f"signs: {describe_actions(status['transaction']['actions'])}"
    else:
        receipts = {receipt["receipt_id"]: receipt for receipt in status.get("receipts", ())}
        what = describe_receipt(receipts.get(item["id"]), status["transaction"])
    written = describe_changes(
        trace.changes.get(item["id"], ()), trace.abis.get(item["outcome"]["executor_id"])
    )
    counts = [
        format_gas(int(outcome["gas_burnt"])),
        *_count(len(outcome["logs"]), "log"),
        *_count(len(written), "write"),
    ]
    tip = [item["id"], what, *outcome["logs"], *written, *([failure] if failure else [])]
    return Box(
        title=f"{'✗' if failure else '✓'} {outcome['executor_id']}",
        what=what,
        below=failure or ", ".join(counts),
        tip="\n".join(make_printable(line) for line in tip),
        kind="failed" if failure else "refund" if what.startswith("refund ") else "",
        row=row,
        lane=lane,
    )


def _count(number: int, noun: str) -> list[str]:
    return [f"{number} {noun}{'s' if number > 1 else ''}"] if number else []


def _place(boxes: Mapping[str, Box], row_count: int) -> tuple[dict[str, Box], list[int], int]:
    """Boxes with coordinates, the upper edge of each row, and the picture's height."""
    stacked: dict[tuple[int, int], list[str]] = {}
    for id_, box in boxes.items():
        stacked.setdefault((box.row, box.lane), []).append(id_)
    edges: list[int] = []
    y = MARGIN + HEAD_HEIGHT
    placed: dict[str, Box] = {}
    for row in range(row_count):
        edges.append(y)
        tallest = 0
        for (own_row, lane), ids in stacked.items():
            if own_row != row:
                continue
            tallest = max(tallest, len(ids))
            for index, id_ in enumerate(ids):
                x = MARGIN + LABEL_WIDTH + LANE_WIDTH * lane + (LANE_WIDTH - BOX_WIDTH) // 2
                top = y + GAP // 2 + index * (BOX_HEIGHT + GAP // 2)
                placed[id_] = replace(boxes[id_], x=x, y=top)
        y += tallest * (BOX_HEIGHT + GAP // 2) + GAP // 2
    return {id_: placed[id_] for id_ in boxes}, edges, y + MARGIN


def _draw_arrows(items: Mapping[str, Json], boxes: Mapping[str, Box]) -> Iterator[str]:
    for id_, item in items.items():
        start = boxes[id_]
        for child in item["outcome"]["receipt_ids"]:
            if child not in boxes:
                continue
            end = boxes[child]
            x1, y1 = start.x + BOX_WIDTH // 2, start.y + BOX_HEIGHT
            x2, y2 = end.x + BOX_WIDTH // 2, end.y
            if start.lane == end.lane and y2 - y1 > GAP + 4:
                # Around the boxes between, at the lane's edge.
                x1, y1, x2, y2 = start.x, start.y + BOX_HEIGHT // 2, end.x, end.y + BOX_HEIGHT // 2
                side = start.x - 18
                yield f'<path class="arrow" d="M{x1} {y1}C{side} {y1} {side} {y2} {x2} {y2}"/>'
                continue
            middle = (y1 + y2) // 2
            yield f'<path class="arrow" d="M{x1} {y1}C{x1} {middle} {x2} {middle} {x2} {y2}"/>'


def _draw_box(box: Box) -> Iterator[str]:
    yield f"<g><title>{escape(box.tip)}</title>"
    yield (
        f'<rect class="box {box.kind}" x="{box.x}" y="{box.y}" width="{BOX_WIDTH}" height="{BOX_HEIGHT}" rx="5"/>'
    )
    below = "bad" if box.kind == "failed" else "dim"
    for kind, text, down in (("head", box.title, 18), ("", box.what, 36), (below, box.below, 53)):
        yield f'<text class="{kind}" x="{box.x + 9}" y="{box.y + down}">{_text(text)}</text>'
    yield "</g>"


def _text(text: str) -> str:
    """Cut to the width of a box, for XML."""
    text = make_printable(text)
    cut = text if len(text) <= LETTERS_MAX else text[: LETTERS_MAX - 1] + "…"
    return escape(cut)
