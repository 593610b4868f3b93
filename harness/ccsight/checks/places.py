"""Where a reading can come from: which program reads which register, from which vantage, in which phases.

A table, so that a question to which no capture could ever have an answer is refused before anything boots,
and so that a cell runs only the programs that can answer it. ``probes`` does the reading; a program that
reads something new is a new row here.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ccsight.arm64.registers import SELECTORS, ccsidr
from ccsight.evidence import guests
from ccsight.evidence.views import BEFORE, HOST, LAUNCH, LIFE, MOVED, PINNED, Vantage, View
from ccsight.kvm.gifts import ASKED, CAPABILITIES, GIFTS
from ccsight.kvm.lives import SIZES, Life

_SIZES = tuple(map(ccsidr, SELECTORS))
_PLAIN = ("CTR_EL0", "CLIDR_EL1", "ID_AA64MMFR2_EL1", *_SIZES)
_LOOPS = tuple(guests.set_way(f"L{level}{side}") for level in range(1, 8) for side in ("D", ""))
_TAGS = tuple(name for tag in (guests.TND, guests.TND | 2) for name in (guests.selected(tag), ccsidr(tag)))
_PFR1 = "ID_AA64PFR1_EL1"
#: What a guest of the usual kind reads, and userspace of its vCPUs.
_USUAL: Mapping[Vantage, tuple[str, ...]] = {
    Vantage.USERSPACE: _PLAIN,
    Vantage.GUEST: _PLAIN,
    Vantage.GUEST_EL0: ("CTR_EL0",),
}


@dataclass(frozen=True)
class Source:
    """Views of one kind: what asks for them, what they are called, and the registers by vantage.

    ``program`` is that of the cell (``campaign.programs``), ``title`` what people call the views, ``names``
    the programs that the views themselves name. The thread was ``pinned`` to a CPU or it was not.
    ``only_named`` are views of VMs that are not as KVM made them, because a VMM gave them something: they
    are meant only where nothing else can be.
    """

    program: str
    title: str
    names: tuple[str, ...]
    phases: tuple[str, ...]
    reads: Mapping[Vantage, tuple[str, ...]]
    pinned: bool = True
    only_named: bool = False


def _lives(*, overridden: bool) -> Source:
    lives = [Life(size, overridden=overridden) for size in SIZES]
    title = "life" + "-overridden" * overridden
    names = tuple(life.program for life in lives)
    return Source("life", title, names, (BEFORE, *LIFE), _USUAL, only_named=overridden)


def _guest(name: str, reads: Mapping[Vantage, tuple[str, ...]]) -> Source:
    return Source("guests", "guests", (name,), (name,), reads, pinned=False)


SOURCES = (
    Source("view", "view", ("view",), (LAUNCH,), _USUAL, pinned=False),
    Source("sweep", "sweep", ("sweep",), (PINNED, MOVED), _USUAL),
    _lives(overridden=False),
    _lives(overridden=True),
    _guest(
        guests.SELECTORS_GUEST,
        {Vantage.GUEST: guests.SELECTORS_EL1, Vantage.GUEST_EL0: guests.SELECTORS_EL0},
    ),
    _guest(guests.SETWAY_GUEST, {Vantage.GUEST: ("CLIDR_EL1", "ID_AA64MMFR2_EL1", *_SIZES, *_LOOPS)}),
    _guest(guests.AARCH32_GUEST, {Vantage.GUEST_AARCH32: (*guests.AARCH32, guests.INIT)}),
    Source(
        "features",
        "features",
        ("features",),
        tuple(gift.phase for gift in GIFTS),
        {
            **_USUAL,
            Vantage.USERSPACE: (*_PLAIN, _PFR1),
            Vantage.GUEST: (*_PLAIN, _PFR1, *_TAGS),
            Vantage.GUEST_EL2: _PLAIN,
        },
        only_named=True,
    ),
    Source(
        "features",
        "features",
        ("features",),
        (ASKED,),
        {Vantage.USERSPACE: tuple(capability.name for capability in CAPABILITIES)},
        only_named=True,
    ),
    Source(
        "hardware",
        "hardware",
        ("hardware",),
        (HOST,),
        {Vantage.HARDWARE: (*_PLAIN, "MIDR_EL1", "REVIDR_EL1", "DCZID_EL0")},
    ),
)

#: What a program of a cell cannot do without (``campaign.programs``: ``needs``, and what it is given).
_NEEDS = {
    "features": "sweep",
    "writes": "sweep",
    "life": "sweep",
    "save": "view",
    "restore": "save",
    "linux": "view",
}

#: Those that run only if that is asked for (``evidence.plan.Depth``).
ON_REQUEST = frozenset({"linux", "save", "restore"})


def closed(programs: Iterable[str]) -> frozenset[str]:
    """Return programs with those that they need."""
    found: set[str] = set()
    left = [*programs]
    while left:
        program = left.pop()
        if program and program not in found:
            found.add(program)
            left.append(_NEEDS.get(program, ""))
    return frozenset(found)


@dataclass(frozen=True)
class Place:
    """What a question says of where it is to be read; None: wherever it was. ``program`` is "" likewise."""

    vantage: Vantage | None = None
    vcpu: int | None = None
    phase: str = ""
    program: str = ""
    cpu: int | None = None

    def __str__(self) -> str:
        said = {"vcpu": self.vcpu, "phase": self.phase, "program": self.program, "cpu": self.cpu}
        settings = ",".join(f"{key}={value}" for key, value in said.items() if value not in (None, ""))
        return f"{self.vantage or ''}{f'({settings})' if settings else ''}"

    def sources(self, register: str = "") -> tuple[Source, ...]:
        """Return which kinds of views there can be of this: none where nobody looks.

        Without a vantage, what the CPU says of itself is not meant.
        """
        found = [source for source in SOURCES if self._fits(source) and self.vantages(source, register)]
        return tuple(s for s in found if not s.only_named) or tuple(found)

    def vantages(self, source: Source, register: str = "") -> tuple[Vantage, ...]:
        """Return the vantages from which such views have a register, or any."""
        return tuple(
            vantage
            for vantage, reads in source.reads.items()
            if (vantage is self.vantage or (self.vantage is None and vantage is not Vantage.HARDWARE))
            and (not register or register in reads)
        )

    def _fits(self, source: Source) -> bool:
        return (
            self.program in ("", source.title, *source.names)
            and self.phase in ("", *source.phases)
            and (self.cpu is None or source.pinned)
            and (self.vcpu is None or source.program != "hardware")
        )

    def views(self, views: Iterable[View], register: str = "") -> tuple[View, ...]:
        """Return those views that are meant, whether or not they have a reading of the register."""
        meant = [
            (self.vantages(source, register), source.names, source.phases)
            for source in self.sources(register)
        ]
        return tuple(
            view
            for view in views
            if self.vcpu in (None, view.vcpu)
            and self.cpu in (None, view.cpu)
            and any(
                view.vantage in vantages
                and (not self.program or self.program not in names or view.program == self.program)
                and view.program in names
                and view.phase in phases
                and self.phase in ("", view.phase)
                for vantages, names, phases in meant
            )
        )


def registers() -> tuple[str, ...]:
    """Return the names of all readings that there can be."""
    return tuple(
        dict.fromkeys(name for source in SOURCES for reads in source.reads.values() for name in reads)
    )


def programs() -> tuple[str, ...]:
    """Return all words by which views can be told apart by their program."""
    return tuple(dict.fromkeys(name for source in SOURCES for name in (source.title, *source.names)))


def phases() -> tuple[str, ...]:
    """Return all phases of views."""
    return tuple(dict.fromkeys(phase for source in SOURCES for phase in source.phases))
