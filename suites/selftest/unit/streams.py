"""Streams that real machines sent, and ways to edit them that leave them well-formed."""

from pathlib import Path

RECORDED = Path(__file__).parent.parent / "recorded"
CELLS = sorted(path.parent.name for path in RECORDED.glob("*/identity.stream"))


def recorded(cell: str, name: str) -> bytes:
    return (RECORDED / cell / f"{name}.stream").read_bytes()


def edited(raw: bytes, edit) -> bytes:
    """Return a well-formed stream with edited lines: numbers and count are put right afterwards."""
    head, *body, _end = raw.decode().splitlines()
    lines = edit([line.split(" ") for line in body])
    for number, line in enumerate(lines, 1):
        line[1] = f"n={number}"
    return "\n".join([head, *(" ".join(line) for line in lines), f"@end {len(lines)}", ""]).encode()


def without(index: int):
    return lambda lines: lines[:index] + lines[index + 1 :]


def replaced(old: str, new: str, count: int = -1):
    return lambda lines: [line.split(" ") for line in _text(lines).replace(old, new, count).split("\n")]


def inserted(index: int, line: str):
    return lambda lines: [*lines[:index], line.split(" "), *lines[index:]]


def _text(lines: list[list[str]]) -> str:
    return "\n".join(" ".join(line) for line in lines)
