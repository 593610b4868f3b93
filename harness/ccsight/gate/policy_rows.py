"""The tables of a policy's file, as they are written: keys, and what they are where nobody says it."""

from datetime import date

import msgspec

from ccsight.evidence.model import Substrate
from ccsight.evidence.toml import Row


class Kernels(Row, frozen=True, kw_only=True):
    """Names of both kernels."""

    old: str
    new: str


class Machine(Row, frozen=True, kw_only=True):
    """A type of machine of the fleet."""

    specs: tuple[str, ...] = ()
    cores: tuple[str, ...] = ()
    substrate: str = ""


class Evidence(Row, frozen=True, kw_only=True):
    """What evidence has to be."""

    substrate: str = Substrate.METAL
    observations: int = 1
    max_age: int = 30
    control: bool = False


class Laws(Row, frozen=True, kw_only=True):
    """What the new kernel has to pass."""

    must_pass: str | tuple[str, ...] = "all"  # noqa: S105 - checks, not a password
    predicates: tuple[str, ...] = ()


class Launch(Row, frozen=True, kw_only=True):
    """What a new guest may see."""

    accept: str | tuple[str, ...] = "same"
    fields: dict[str, str] = msgspec.field(default_factory=dict)
    asked: bool = True
    baseline: bool = False


class Moves(Row, frozen=True, kw_only=True):
    """What may become of VMs that move."""

    accept: str | tuple[str, ...] = "transparent"
    fields: dict[str, str] = msgspec.field(default_factory=dict)
    asked: bool = True
    vmms: tuple[str, ...] = ()
    strategies: tuple[str, ...] = ()


class Compared(Row, frozen=True, kw_only=True):
    """How else the kernels may differ."""

    accept: str | tuple[str, ...] = "same"
    fields: dict[str, str] = msgspec.field(default_factory=dict)
    asked: bool = True


class Waiver(Row, frozen=True, kw_only=True):
    """What somebody answers for."""

    id: str
    check: str
    field: str = ""
    machine: str = ""
    direction: str = ""
    reason: str
    owner: str
    expires: date


class File(Row, frozen=True, kw_only=True):
    """The file: its tables are read one by one, so that each can be named where it is wrong.

    The last three are asked for only where they are there: so policies mean what they meant without them.
    """

    schema: int
    kernels: object
    machines: dict[str, object]
    evidence: object = msgspec.field(default_factory=dict)
    laws: object = msgspec.field(default_factory=dict)
    launch: object = msgspec.field(default_factory=dict)
    upgrade: object = msgspec.field(default_factory=dict)
    rollback: object = msgspec.field(default_factory=dict)
    waiver: tuple[object, ...] = ()
    crossing: object = None
    registers: object = None
    layout: object = None
