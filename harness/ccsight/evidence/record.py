"""What all evidence stands on: immutable records, strict JSON, register values as 0x-hex strings."""

from functools import lru_cache
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
#: What reads each type: to make one takes as long as to read a small document.
_DECODERS: dict[type, Any] = {}


class Hex(int):
    """A register value or id: an int in Python, a 0x-hex string in JSON."""


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, gc=False):
    """Base of all evidence: immutable, and strict about what it reads."""


def to_json(value: object) -> bytes:
    """Serialise evidence; hex values as strings, two spaces of indent, a newline at the end."""
    return msgspec.json.format(msgspec.json.encode(value, enc_hook=_encode), indent=2) + b"\n"


def to_json_line(value: object) -> bytes:
    """Serialise evidence as one line, for files that grow."""
    return msgspec.json.encode(value, enc_hook=_encode) + b"\n"


def from_json(content: bytes, kind: type[T]) -> T:
    """Read evidence back, strictly. Raises msgspec.ValidationError or msgspec.DecodeError."""
    decoder: msgspec.json.Decoder[T] | None = _DECODERS.get(kind)
    if decoder is None:
        decoder = _DECODERS[kind] = msgspec.json.Decoder(kind, dec_hook=_decode)
    return decoder.decode(content)


def _encode(value: object) -> object:
    if isinstance(value, Hex):
        return f"{value:#x}"
    raise NotImplementedError(f"no JSON form for {type(value).__name__}")


@lru_cache(maxsize=1 << 14)
def _decode(kind: type, value: object) -> object:
    """Return what a string stands for: a capture has thousands of them, a fleet's ever the same ones."""
    if kind is Hex and isinstance(value, str) and value.startswith("0x"):
        return Hex(int(value, 16))
    raise ValueError(f"expected a 0x-hex string, got {value!r}")
