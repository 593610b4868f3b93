"""TOML that somebody wrote, read strictly: an unknown key names its nearest neighbour.

What the keys mean, and whether the values make sense together, is for whoever asks.
"""

import re
import tomllib
from dataclasses import dataclass
from typing import TypeVar

import msgspec

from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError
from ccsight.evidence.record import Hex

_HEX = re.compile(r"0x[0-9a-fA-F]{1,16}")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The base of all tables. A key whose type is ``object`` is a table that is read by itself."""


R = TypeVar("R", bound=Row)


@dataclass(frozen=True)
class Reader:
    """Reads one file; ``learn`` is the next step in every message: where to see how it is written."""

    file: str
    learn: str

    def document(self, text: str) -> dict[str, object]:
        """Return the tables of a text. Raises UsageError."""
        try:
            return tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # not its own for endless digits and depth
            raise UsageError(f"{self.file} is not TOML", evidence=str(error), next_step=self.learn) from error

    def row(self, table: object, kind: type[R], place: str) -> R:
        """Return a table as what it should be; ``place`` is what to call it. Raises UsageError."""
        keys = [field.encode_name for field in msgspec.structs.fields(kind)]
        unknown = [key for key in table if key not in keys] if isinstance(table, dict) else []
        if unknown:
            raise UsageError(
                f"{place} has an unknown key {unknown[0]!r}",
                evidence=nearest(unknown[0], keys),
                next_step=self.learn,
            )
        try:
            return msgspec.convert(table, kind, dec_hook=_hex)
        except msgspec.ValidationError as error:
            raise UsageError(f"{place} is malformed", evidence=str(error), next_step=self.learn) from error


def _hex(kind: type, value: object) -> object:
    if kind is object:
        return value
    if kind is Hex and isinstance(value, str) and _HEX.fullmatch(value):
        return Hex(int(value, 16))
    raise ValueError(f'a register value is a string, "0x…" of at most 64 bits, not {value!r}')


def quoted(text: str) -> str:
    """Return a TOML basic string; its escapes are a superset of JSON's."""
    return msgspec.json.encode(text).decode().replace("\x7f", "\\u007f")
