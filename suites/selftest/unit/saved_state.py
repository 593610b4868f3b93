"""Saved states made by hand: the form of guests/vmm/state.h."""

import struct
import zlib
from dataclasses import dataclass, field

BASE, MEMORY, PAGE = 0x4000_0000, 0x40_0000, 4096
#: Bytes of the head, of which the last 8 are the checksum of all behind it.
HEAD = 96
CLIDR, CCSIDR0, WIDE = 0x6030_0000_0013_C801, 0x6020_0000_0011_0000, 0x6040_0000_0010_0054


def register(kvm_id: int, value: int = 0, problem: int = 0) -> bytes:
    size = 0 if problem else 1 << (kvm_id >> 52 & 0xF)
    padded = -(-size // 8) * 8
    return struct.pack("<Q2I", kvm_id, problem, size) + (value.to_bytes(padded, "little") if size else b"")


def vcpu(*registers: bytes, mp_state: int = 0, features: int = 4) -> bytes:
    return struct.pack("<2IQ", mp_state, len(registers), features) + b"".join(registers)


def page(address: int = BASE, fill: bytes = b"\x5a") -> bytes:
    return struct.pack("<Q", address) + fill * PAGE


@dataclass
class Saved:
    """A state that is right in everything, unless it is told otherwise."""

    vcpus: tuple[bytes, ...] = (vcpu(register(CLIDR, 0x0A20_0023), register(CCSIDR0, 0x701F_E00A)),) * 2
    pages: tuple[bytes, ...] = (page(),)
    head: dict[str, object] = field(default_factory=dict)

    def content(self) -> bytes:
        body = b"".join(self.vcpus + self.pages)
        head = {
            "magic": b"CCSIGHT\n",
            "version": 2,
            "machine": 183,
            "word": 64,
            "wire": 1,
            "gic": 3,
            "vcpus": len(self.vcpus),
            "page": PAGE,
            "guest": b"remember",
            "base": BASE,
            "memory": MEMORY,
            "pages": len(self.pages),
            "size": HEAD + len(body),
            "checksum": zlib.crc32(body),
        } | self.head
        return struct.pack("<8s7I20s5Q", *head.values()) + body
