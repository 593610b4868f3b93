"""A saved VM as a file, strictly: guests/vmm/state.h has the form. What a machine sent is not believed.

Registers are looked up by vCPU and id; memory is only counted.
"""

import struct
import zlib
from dataclasses import dataclass

from ccsight.errors import EvidenceError
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading

#: The largest state that is taken; one of the guest ``remember`` has some 60 KiB.
STATE_MAX = 8 << 20

_MAGIC = b"CCSIGHT\n"
_VERSION = 2
#: EM_AARCH64 of ELF.
_MACHINE = 183
#: Of the probe that wrote it: bits of a word, and the version of the wire format that its guest speaks.
_WORD, _WIRE = 64, 1
_PAGE = 4096
#: Where ccprobe's VMs have memory, and how much (guests/vmm/ccprobe.h).
_BASE, _MEMORY = 0x4000_0000, 0x40_0000
_HEAD = struct.Struct("<8s7I20s5Q")
_VCPU = struct.Struct("<2IQ")
_REGISTER = struct.Struct("<Q2I")
#: Where a KVM id says how many bytes its value has, as a power of two.
_SIZE_SHIFT, _SIZE_MASK = 52, 0xF


@dataclass(frozen=True)
class Type:
    """What a VM is made of, and has to be made of again where its state shall go.

    ``features`` are those of KVM_ARM_VCPU_INIT, for each vCPU; ``gic`` is the version of its GIC, 0 where
    there is none; ``guest`` the bare guest in its memory.
    """

    features: tuple[int, ...]
    gic: int
    guest: str


@dataclass(frozen=True)
class State:
    """What a file says: the VM's type, the registers of each vCPU in their order, the pages of memory.

    Of a long register the first 8 bytes are given; a problem, an errno's number, stands for a value that KVM
    did not give.
    """

    vcpus: tuple[dict[int, Reading], ...]
    pages: int
    type: Type

    @property
    def ids(self) -> tuple[Hex, ...]:
        """The registers of the first vCPU."""
        return tuple(Hex(kvm_id) for kvm_id in self.vcpus[0])


class _Reader:
    def __init__(self, content: bytes, where: str) -> None:
        self.content, self.where, self.at = memoryview(content), where, 0

    def take(self, size: int) -> memoryview:
        found = self.content[self.at : self.at + size]
        if len(found) < size:
            raise self.bad(f"it ends at byte {len(self.content)}, within something that needs {size} more")
        self.at += size
        return found

    def fields(self, form: struct.Struct) -> tuple[int, ...]:
        return form.unpack(self.take(form.size))

    def bad(self, evidence: str) -> EvidenceError:
        return EvidenceError(
            f"{self.where} is not a state that can be restored",
            evidence=evidence,
            next_step="it was altered, cut off, or is of another version: save it again",
        )


def parse(content: bytes, where: str) -> State:
    """Return what a state's file says. Raises EvidenceError with what is wrong."""
    reader = _Reader(content, where)
    head = _HEAD.unpack(reader.take(_HEAD.size))
    magic, version, machine, word, wire, gic, vcpus, page, loaded, base, memory, pages, size, checksum = head
    for said, wanted, name in (
        (magic, _MAGIC, "magic"),
        (machine, _MACHINE, "machine (ELF's number of the architecture)"),
        (version, _VERSION, "version"),
        (word, _WORD, "probe's word (in bits)"),
        (wire, _WIRE, "guest's wire format"),
        (size, len(content), "size"),
        (page, _PAGE, "page size"),
        (base, _BASE, "address of memory"),
        (memory, _MEMORY, "size of memory"),
        (checksum, zlib.crc32(content[_HEAD.size :]), "checksum"),
    ):
        if said != wanted:
            raise reader.bad(f"its {name} is {said!r} instead of {wanted!r}")
    if not 1 <= vcpus <= 8:
        raise reader.bad(f"it has {vcpus} vCPUs")
    if loaded[-1]:
        raise reader.bad(f"the name of its guest has no end: {loaded!r}")
    found = [_vcpu(reader) for _ in range(vcpus)]
    for _ in range(pages):
        _page(reader)
    if reader.at != len(content):
        raise reader.bad(f"{len(content) - reader.at} bytes are left behind its last page")
    guest = loaded.partition(b"\0")[0].decode("ascii", "backslashreplace")
    made_of = Type(tuple(features for features, _ in found), gic, guest)
    return State(tuple(registers for _, registers in found), pages, made_of)


def require(found: Type, wanted: Type, where: str) -> None:
    """Raise EvidenceError with each difference where a state's VM is of another type than is made."""
    odd = [
        f"{name} {_told(one)} instead of {_told(other)}"
        for name, one, other in (
            ("vCPUs", len(found.features), len(wanted.features)),
            ("vCPU features", found.features, wanted.features),
            ("GIC", found.gic, wanted.gic),
            ("guest", found.guest, wanted.guest),
        )
        if one != other
    ]
    if odd:
        raise EvidenceError(
            f"{where} is a VM of another type than this ccsight makes: it cannot be restored anywhere",
            evidence="; ".join(odd),
            next_step="save it again, with the ccsight that shall restore it",
        )


def _told(value: int | str | tuple[int, ...]) -> str:
    if isinstance(value, tuple):
        return ", ".join(f"{each:#x}" for each in value)
    return f"{value or 'none'}"


def _vcpu(reader: _Reader) -> tuple[int, dict[int, Reading]]:
    """Read a vCPU: the features that it was initialised with, and its registers."""
    _, count, features = reader.fields(_VCPU)
    registers: dict[int, Reading] = {}
    for _ in range(count):
        kvm_id, problem, size = reader.fields(_REGISTER)
        wanted = 0 if problem else 1 << (kvm_id >> _SIZE_SHIFT & _SIZE_MASK)
        if size != wanted:
            raise reader.bad(f"register {kvm_id:#x} has {size} bytes, not {wanted}")
        if kvm_id in registers:
            raise reader.bad(f"register {kvm_id:#x} is there twice")
        value = bytes(reader.take(-(-size // 8) * 8)[: min(size, 8)])
        registers[kvm_id] = (
            Reading(problem=f"errno {problem}")
            if problem
            else Reading(value=Hex(int.from_bytes(value, "little")))
        )
    return features, registers


def _page(reader: _Reader) -> None:
    address = int.from_bytes(reader.take(8), "little")
    if address % _PAGE or not _BASE <= address < _BASE + _MEMORY:
        raise reader.bad(f"it has a page at {address:#x}, where no memory is")
    reader.take(_PAGE)
