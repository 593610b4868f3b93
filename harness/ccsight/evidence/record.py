"""What all evidence stands on: immutable records, strict JSON, register values as 0x-hex strings."""

from typing import TypeVar

import msgspec

T = TypeVar("T")


class Hex(int):
    """A register value or id: an int in Python, a 0x-hex string in JSON."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of all evidence: immutable, and strict about what it reads."""


def to_json(value: object) -> bytes:
    """Serialise evidence; hex values as strings, two spaces of indent, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_encode), indent=2) + b"\n"


def to_json_line(value: object) -> bytes:
    """Serialise evidence as one line, for files that grow."""
    return msgspec.json.encode(value, enc_hook=_encode) + b"\n"


def from_json(content: bytes, kind: type[T]) -> T:
    """Read evidence back, strictly. Raises msgspec.ValidationError or msgspec.DecodeError."""
    return msgspec.json.decode(content, type=kind, dec_hook=_decode)


def _encode(value: object) -> object:
    if isinstance(value, Hex):
        return f"{value:#x}"
    raise NotImplementedError(f"no JSON form for {type(value).__name__}")


def _decode(kind: type, value: object) -> object:
    if kind is Hex and isinstance(value, str) and value.startswith("0x"):
        return Hex(int(value, 16))
    raise ValueError(f"expected a 0x-hex string, got {value!r}")
