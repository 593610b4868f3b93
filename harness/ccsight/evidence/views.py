"""What was seen, by whom, of which vCPU and when: readings, views, writes, register lists."""

import hashlib
import re
from enum import StrEnum
from functools import lru_cache
from typing import Protocol

import msgspec

from ccsight.evidence.record import Hex, Record

_PLAIN = re.compile(r"[A-Za-z0-9.:-]{1,48}")
_ODD = re.compile(r"[^A-Za-z0-9.-]")

#: The phases of the programs. A VM that was made and looked at, on whatever CPU ...
LAUNCH = "launch"
#: ... one for each physical CPU, made, looked at and run there ...
PINNED = "pinned"
#: ... one that is made on the first CPU and taken from CPU to CPU while it lives ...
MOVED = "moved"
#: ... one that is given, on its CPU, what was read on another one.
CARRIED = "carried"
#: No VM at all: the host's own kernel.
HOST = "host"
#: When a register is written: before KVM_ARM_VCPU_INIT, after it, after the vCPU has run ...
UNINITIALISED, FRESH, RAN = "uninitialised", "fresh", "ran"
#: ... from an address where nothing is, after KVM_ARM_VCPU_INIT ...
UNREADABLE = "unreadable"
#: ... and with values that a generator of random numbers chose.
FUZZED = "fuzzed"
#: ... or with less and less of such a value, because it went wrong.
SHRUNK = "shrunk"
#: How many of them there are, unless a run was asked for more or less.
FUZZ_VALUES = 300
#: The most that a cell has the time for, on an emulated machine.
FUZZ_MOST = 10_000
#: Moments in the life of a vCPU, after which nothing may have changed since it was made and first run.
BEFORE = "before"
LIFE = ("cpu-on", "cpu-off-on", "second-run", "re-init", "system-reset", "beside", "late")


class Vantage(StrEnum):
    """From where a register was read."""

    HARDWARE = "hardware"  #: MRS in the host's kernel, on one physical CPU
    USERSPACE = "userspace"  #: KVM_GET_ONE_REG, as a VMM sees it
    GUEST = "guest"  #: MRS at the guest's EL1
    GUEST_EL0 = "guest_el0"  #: MRS at the guest's EL0
    GUEST_EL2 = "guest_el2"  #: MRS at the guest's EL2, where it was given one
    GUEST_AARCH32 = "guest_aarch32"  #: MRC at an AArch32 EL1


class Reading(Record, frozen=True):
    """One register read once: a value, or the problem that came instead (``ENOENT``, ``UNDEF``)."""

    value: Hex | None = None
    problem: str = ""


class View(Record, frozen=True):
    """What one vantage saw of one vCPU in one phase of one program.

    ``cpu`` is the physical CPU to which the thread was pinned meanwhile, None where it ran wherever the
    host put it. ``vcpu`` is None where there is none: at the vantage ``hardware``. ``readings`` maps names
    such as ``CLIDR_EL1`` and ``CCSIDR_EL1[2]`` to what came back.
    """

    vantage: Vantage
    vcpu: int | None
    program: str
    phase: str
    readings: dict[str, Reading]
    cpu: int | None = None

    def value(self, name: str) -> int | None:
        """Return a register's value, or None when it could not be read or was not asked for."""
        reading = self.readings.get(name)
        return None if reading is None else reading.value


class Write(Record, frozen=True):
    """One KVM_SET_ONE_REG: what was written to which vCPU, what came of it, what GET says afterwards.

    ``cpu`` is the physical CPU on which the ioctl ran, ``origin`` the one on which ``value`` had been read;
    None where nothing was pinned. ``problem`` is the errno's name, "" for a write that was accepted.
    ``kvm_id`` is given where it is not the register's own id. ``seen`` is what the guest read of the register
    afterwards, None where it was not run; ``beside`` has what it read at the same time of the registers that
    go together with CTR_EL0, where that was written. ``moved`` has what else changed meanwhile, by
    ``vCPU 1 CLIDR_EL1``.
    """

    vcpu: int
    program: str
    phase: str
    name: str
    value: Hex
    problem: str
    after: Reading
    cpu: int | None = None
    origin: int | None = None
    kvm_id: Hex | None = None
    seen: Reading | None = None
    moved: dict[str, Reading] = msgspec.field(default_factory=dict)
    beside: dict[str, Reading] = msgspec.field(default_factory=dict)


class RegisterList(Record, frozen=True):
    """What KVM_GET_REG_LIST said of one vCPU in one phase, in KVM's order."""

    vcpu: int
    ids: tuple[Hex, ...]
    phase: str = LAUNCH


class Evidence(Protocol):
    """What one boot has said so far, as the reference model takes it: a capture, or what becomes one."""

    @property
    def views(self) -> tuple[View, ...]: ...  # noqa: D102 - as in a capture

    @property
    def register_lists(self) -> tuple[RegisterList, ...]: ...  # noqa: D102

    @property
    def writes(self) -> tuple[Write, ...]: ...  # noqa: D102


class Cell(Record, frozen=True):
    """A machine and a kernel, by their specs: what one boot answers for."""

    machine: str
    kernel: str

    @property
    def id(self) -> str:
        """A name that is unique in a run and fit for a folder."""
        return f"{slug(self.machine)}--{slug(self.kernel)}"

    @property
    def title(self) -> str:
        """The same for people."""
        return f"{self.machine}  {self.kernel}"


@lru_cache(maxsize=1 << 12)
def slug(spec: str) -> str:
    """Return a spec as a file name that no other spec has: readable where it is short and plain.

    A colon becomes ``_``. A spec with anything else that does not fit a file name, or a long one, is
    cut and ends in a hash of itself.
    """
    if _PLAIN.fullmatch(spec):
        return spec.replace(":", "_")
    digest = hashlib.sha256(spec.encode()).hexdigest()[:8]
    return f"{_ODD.sub('_', spec)[:40]}-{digest}"
