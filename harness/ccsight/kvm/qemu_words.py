"""How QEMU 11.1 writes registers in its messages, read back: which it misses, and which stop it. Pure.

QEMU 7.2 and 10.0 name none.
"""

import re
from collections.abc import Iterator

from ccsight.arm64.kvm_ids import of_encoding

#: A form in which a register is printed, the base of its numbers, and what they are in an id.
_FORMS = (
    (re.compile(r"(?:core|demuxed) reg ([0-9a-f]+)"), 16, 0),
    (re.compile(r"fw reg (\d+)"), 10, 0x6030_0000_0014_0000),
    (re.compile(r"fw feat reg (\d+)"), 10, 0x6030_0000_0016_0000),
)
_SYSTEM = re.compile(r"system register op0:(\d+) op1:(\d+) crn:(\d+) crm:(\d+) op2:(\d+)")


def missing(words: str) -> frozenset[int]:
    """Return the ids of what the destination lists and the source did not send: it keeps its own."""
    return _told(words, "handle_cpreg_missing_in_incoming_stream")


def unknown(words: str) -> frozenset[int]:
    """Return the ids of what the source sent and the destination does not list: it takes none of them."""
    return _told(words, "handle_cpreg_only_in_incoming_stream")


def refused(words: str) -> frozenset[int]:
    """Return the ids of what the destination lists, but KVM does not take as the source sent it."""
    return _told(words, "Could not set register")


def _told(words: str, what: str) -> frozenset[int]:
    """Return the registers in the lines that say so; each vCPU's are told anew."""
    return frozenset(kvm_id for line in words.splitlines() if what in line for kvm_id in _registers(line))


def _registers(line: str) -> Iterator[int]:
    for form, base, start in _FORMS:
        for digits in form.findall(line):
            yield start | int(digits, base)
    for op0, op1, crn, crm, op2 in _SYSTEM.findall(line):
        yield of_encoding((int(op0), int(op1), int(crn), int(crm), int(op2)))
