"""Looking for a number in the memory and the files of processes, in every form that programs keep numbers in."""

import mmap
from array import array
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from hither.codec import base58

_PAGE_BYTES = mmap.PAGESIZE
_PRESENT = 3 << 62
"""In memory, or swapped out."""


def list_forms(number: int) -> dict[str, bytes]:
    """A scalar's bytes in both orders, as text, and as the limbs of common libraries."""
    big, little = number.to_bytes(32, "big"), number.to_bytes(32, "little")
    words = [little[i : i + 8] for i in range(0, 32, 8)]
    halves = [little[i : i + 4] for i in range(0, 32, 4)]
    return {
        "big-endian": big,
        "little-endian": little,
        "64-bit limbs, highest first": b"".join(reversed(words)),
        "32-bit limbs, highest first": b"".join(reversed(halves)),
        "52-bit limbs": _split(number, 52, 5, 8),
        "29-bit limbs": _split(number, 29, 9, 4),
        "26-bit limbs": _split(number, 26, 10, 4),
    } | {
        f"{name} {order}": text
        for order, data in (("big-endian", big), ("little-endian", little))
        for name, text in (
            ("hex", data.hex().encode()),
            ("upper hex", data.hex().upper().encode()),
            ("base58", base58.encode(data).encode()),
        )
    }


def _split(number: int, bits: int, count: int, size_bytes: int) -> bytes:
    mask = (1 << bits) - 1
    return b"".join((number >> (bits * i) & mask).to_bytes(size_bytes, "little") for i in range(count))


def list_writable(process_id: int) -> Iterator[tuple[int, int]]:
    """Where a process may keep what it computed: runs of writable pages that are there (proc(5): pagemap)."""
    with Path(f"/proc/{process_id}/pagemap").open("rb", buffering=0) as pagemap:
        for line in Path(f"/proc/{process_id}/maps").read_text().splitlines():
            addresses, rights, *_ = line.split()
            if not rights.startswith("rw"):
                continue
            start, end = (int(text, 16) for text in addresses.split("-"))
            pagemap.seek(start // _PAGE_BYTES * 8)
            entries = array("Q", pagemap.read((end - start) // _PAGE_BYTES * 8))
            there = [index for index, entry in enumerate(entries) if entry & _PRESENT]
            for _, run in groupby(enumerate(there), lambda pair: pair[1] - pair[0]):
                pages = [page for _, page in run]
                yield start + pages[0] * _PAGE_BYTES, start + (pages[-1] + 1) * _PAGE_BYTES


def read_memory(process_id: int) -> Iterator[tuple[int, bytes]]:
    """All writable memory of a process, piece by piece with its address. What goes meanwhile is left out."""
    with Path(f"/proc/{process_id}/mem").open("rb", buffering=0) as memory:
        for start, end in list_writable(process_id):
            try:
                memory.seek(start)
                data = memory.read(end - start)
            except OSError:
                continue
            yield start, data


def search_memory(process_id: int, forms: dict[str, bytes]) -> set[str]:
    """Which forms are there."""
    return search_pieces((data for _, data in read_memory(process_id)), forms)


def search_pieces(pieces: Iterator[bytes], forms: dict[str, bytes]) -> set[str]:
    """Which forms are in any of the pieces."""
    return {name for data in pieces for name, form in forms.items() if form in data}


def search_files(folder: Path, forms: dict[str, bytes]) -> set[str]:
    """Which forms are in any file below a folder."""
    files = (path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    return search_pieces(files, forms)


def save_memory(process_id: int, target: Path) -> None:
    """As it is now, to be searched later."""
    with target.open("wb") as file:
        for _, data in read_memory(process_id):
            file.write(data)


def plant(process_id: int, marker: bytes, data: bytes) -> None:
    """Write into the memory of a process, behind a marker that was put there with room for it."""
    found = (at + piece.find(marker) for at, piece in read_memory(process_id) if marker in piece)
    place = next(found) + len(marker)
    with Path(f"/proc/{process_id}/mem").open("r+b", buffering=0) as memory:
        memory.seek(place)
        memory.write(data)
