"""The one parser of the wire format (``guests/include/wire.h``): bytes in, frozen lines out.

What a machine sends is untrusted: bounded, counted, and with one way to write each line. Whatever
is not exactly that is a ProbeError that names the line. What the lines mean is for the callers.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

from ccsight.errors import ProbeError
from ccsight.evidence.record import Hex

VERSION = 1
LINE_MAX = 512
LINES_MAX = 32768
#: No longer stream can be well-formed: its lines, "@begin" and "@end".
STREAM_MAX = (LINES_MAX + 2) * LINE_MAX

_ESCAPE = r"%(?:[01][0-9A-F]|20|25|7F|[89A-F][0-9A-F])"  # just the bytes that may not stand as they are
_VALUE = rf"(?:[!-$&-~]|{_ESCAPE})*"
_BEGIN = re.compile(r"@begin ccsight (0|[1-9][0-9]{0,3}) ([a-z][a-z0-9-]{0,31})")
_LINE = re.compile(rf"([a-z]{{1,16}}) n=([1-9][0-9]{{0,4}})((?: [a-z]{{1,16}}={_VALUE})*)")
_END = re.compile(r"@end (0|[1-9][0-9]{0,4})")
_HEX = re.compile(r"0x(?:0|[1-9a-f][0-9a-f]{0,15})")
_COUNT = re.compile(r"0|[1-9][0-9]{0,5}")
_ERRNO = re.compile(r"E[A-Z0-9]{1,31}")


@dataclass(frozen=True)
class Line:
    """One line: its kind, its number in the stream from 1, and its values by key, escapes resolved.

    A character of a value is a byte of what was sent. ``source`` says whose line it is, for messages.
    """

    source: str
    kind: str
    number: int
    values: dict[str, str]

    def __str__(self) -> str:
        values = " ".join(f"{key}={value}" for key, value in self.values.items())
        return f"line {self.number}: {self.kind} {values}"

    def keys(self, *expected: str) -> None:
        """Raise ProbeError unless the line has exactly these keys, in this order."""
        if tuple(self.values) != expected:
            self.refuse(f"has the keys {' '.join(self.values) or '(none)'}, not {' '.join(expected)}")

    def hex(self, key: str) -> Hex:
        """Return a value that is a hexadecimal number of at most 64 bits."""
        return Hex(int(self._matched(key, _HEX, "a number in 0x-hex"), 16))

    def count(self, key: str) -> int:
        """Return a value that is a decimal number below a million."""
        return int(self._matched(key, _COUNT, "a decimal number"))

    def errno(self, key: str = "errno") -> str:
        """Return a value that is the name of an errno, such as ``ENOENT``."""
        return self._matched(key, _ERRNO, "the name of an errno")

    def items(self, key: str) -> Iterator["Line"]:
        """Yield a line like this one for each item of a list with commas between; it holds the item alone."""
        for item in self.values[key].split(","):
            yield Line(self.source, self.kind, self.number, {key: item})

    def refuse(self, why: str) -> NoReturn:
        """Raise the ProbeError that names this line."""
        refuse(self.source, f"line {self.number} ({self.kind}) {why}", repr(self.values))

    def _matched(self, key: str, pattern: re.Pattern[str], what: str) -> str:
        value = self.values.get(key, "")
        if not pattern.fullmatch(value):
            self.refuse(f"has no {key} that is {what}")
        return value


@dataclass(frozen=True)
class Stream:
    """A stream that is whole and well-formed: the program that sent it, and its lines."""

    source: str
    program: str
    lines: tuple[Line, ...]

    def expect(self, program: str) -> None:
        """Raise ProbeError when another program sent this."""
        if self.program != program:
            refuse(self.source, f"is of the program {self.program!r}, not {program!r}")

    def raise_errors(self) -> None:
        """Raise ProbeError when the sender says that it could not do its job."""
        errors = [line for line in self.lines if line.kind == "error"]
        if errors:
            said = "; ".join(str(line) for line in errors)
            raise ProbeError(
                f"{self.source} could not observe everything",
                evidence=said[:LINE_MAX],
                next_step="guests/README.md says what each error means",
            )


def parse(raw: bytes, source: str) -> Stream:
    """Parse one stream. ``source`` names the sender in messages: ``ccprobe view``.

    Raises ProbeError naming the first line that is not as it must be.
    """
    if len(raw) > STREAM_MAX:
        refuse(source, f"has {len(raw)} bytes, more than {STREAM_MAX}")
    head, *body = _split(raw, source)
    begin = _BEGIN.fullmatch(head)
    if not begin:
        refuse(source, "does not start with @begin", repr(head))
    if int(begin[1]) != VERSION:
        refuse(source, f"has the version {begin[1]}; this ccsight reads {VERSION}")
    end = _END.fullmatch(body[-1]) if body else None
    if not end:
        refuse(source, "is cut: its last line is not @end", repr((body or [head])[-1]))
    lines = tuple(_line(text, number, source) for number, text in enumerate(body[:-1], 1))
    if int(end[1]) != len(lines):
        refuse(source, f"ends after {len(lines)} lines, but says {end[1]}")
    return Stream(source, begin[2], lines)


def refuse(source: str, why: str, evidence: str = "") -> NoReturn:
    """Raise the ProbeError for a stream that is not as it must be."""
    raise ProbeError(
        f"the stream of {source} {why}",
        evidence=evidence[:LINE_MAX],
        next_step="nothing in it was used; repeat the capture, and look at the machine's console",
    )


def _split(raw: bytes, source: str) -> list[str]:
    *lines, rest = raw.split(b"\n")
    if rest:
        refuse(source, f"is cut in line {len(lines)}", repr(rest[:LINE_MAX]))
    if not lines:
        refuse(source, "is empty")
    if len(lines) - 2 > LINES_MAX:
        refuse(source, f"has {len(lines)} lines, more than {LINES_MAX}")
    return [_ascii(line, number, source) for number, line in enumerate(lines)]


def _ascii(line: bytes, number: int, source: str) -> str:
    if len(line) >= LINE_MAX:
        refuse(source, f"has {len(line)} bytes in line {number}, more than {LINE_MAX - 1}")
    if not line.isascii():
        refuse(source, f"is not ASCII in line {number}", repr(line))
    return line.decode("ascii")


def _line(text: str, number: int, source: str) -> Line:
    matched = _LINE.fullmatch(text)
    if not matched:
        refuse(source, f"has a malformed line {number}", repr(text))
    kind, said, rest = matched.groups()
    if int(said) != number:
        refuse(source, f"has line {said} where line {number} must be", repr(text))
    pairs = [pair.split("=", 1) for pair in rest.split(" ")[1:]]
    values = {key: _unescape(value) for key, value in pairs}
    if len(values) != len(pairs):
        refuse(source, f"has a key twice in line {number}", repr(text))
    return Line(source, kind, number, values)


def _unescape(value: str) -> str:
    return re.sub("%(..)", lambda escape: chr(int(escape[1], 16)), value)
