"""What a predicate is made of: a question of each kind, which says itself again in the language.

Which programs have to run for an answer is a property of the question; the answers are in ``answers``.
"""

from dataclasses import dataclass, replace

from ccsight.arm64.registers import CCSIDR_EL1, CCSIDR_EL1_CCIDX, REGISTERS, Field, base_name
from ccsight.checks.places import Place, Source, closed
from ccsight.checks.registry import LAWS_ON_REQUEST
from ccsight.checks.spelling import BARE, CHOICE, REGISTER, SPEC, WORD, quoted
from ccsight.evidence.views import Vantage
from ccsight.kvm.vmms import Outcome

#: The kernel that the capture is of, in ``migrate(SPEC -> this)``.
THIS = "this"


@dataclass(frozen=True)
class Answer:
    """Whether it is so; None: nothing was observed, which is never good. ``seen`` is the evidence in words.

    The most telling comes first.
    """

    truth: bool | None
    seen: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """A part of a predicate."""

    @property
    def programs(self) -> frozenset[str] | None:
        """The programs of a cell that have to run; None: all that usually do."""
        return frozenset()

    @property
    def parts(self) -> "tuple[Question, ...]":
        """The questions that this one is made of; itself, where it is of no others."""
        return (self,)

    @property
    def depth(self) -> int:
        """How deep it is nested."""
        return 0


@dataclass(frozen=True)
class Reads(Question):
    """``guest.CLIDR_EL1.LoC == 2``: a reading, or a field of it (else ``""``), against a number or a word."""

    place: Place
    register: str
    field: str
    operator: str
    value: int | str

    def __str__(self) -> str:
        return f"{self.subject} {self.operator} {self._value}"

    @property
    def subject(self) -> str:
        """What is read, as it is written."""
        place = f"{self.place}"
        field = f".{self.field}" if self.field else ""
        return f"{place}{'.' if place else ''}{quoted(self.register, REGISTER)}{field}"

    @property
    def _value(self) -> str:
        if isinstance(self.value, int):
            return f"{self.value}" if self.field else f"{self.value:#x}"
        return quoted(self.value, WORD)

    @property
    def fields(self) -> tuple[Field, ...]:
        """The field in each layout that the register has."""
        return fields(self.register, self.field)

    @property
    def problem(self) -> str:
        """The word that stands where a value would, if it is asked for such a one."""
        words = [word for field in self.fields for word in field.words]
        return self.value if isinstance(self.value, str) and self.value not in words else ""

    @property
    def programs(self) -> frozenset[str]:
        """Those that read it."""
        return closed(source.program for source in self.place.sources(self.register))


def fields(register: str, field: str = "") -> tuple[Field, ...]:
    """Return the fields of a reading's register, in each layout that it has; all, or those of one name."""
    base = base_name(register)
    layouts = (CCSIDR_EL1, CCSIDR_EL1_CCIDX) if base == CCSIDR_EL1.name else (REGISTERS.get(base),)
    every = [each for layout in layouts if layout for each in layout.fields]
    return tuple(each for each in every if field in ("", each.name))


@dataclass(frozen=True)
class Alike(Question):
    """``guest == userspace``: whether two vantages read the same of the caches."""

    place: Place
    other: Vantage
    equal: bool

    def __str__(self) -> str:
        return f"{self.place} {'==' if self.equal else '!='} {self.other}"

    @property
    def with_hardware(self) -> bool:
        """Whether one of them is what the CPU says of itself."""
        return Vantage.HARDWARE in (self.place.vantage, self.other)

    @property
    def others(self) -> Place:
        """Where the other vantage is meant: at the same place; but the CPU's own have nothing but the CPU."""
        if self.other is Vantage.HARDWARE:
            return Place(self.other, cpu=self.place.cpu)
        return replace(self.place, vantage=self.other)

    @property
    def meet(self) -> tuple[Source, ...]:
        """The kinds of views in which both can be found; those of VMs pinned to a CPU, for the CPU's own."""
        if self.other is Vantage.HARDWARE:
            return tuple(source for source in self.place.sources() if source.pinned)
        if self.place.vantage is Vantage.HARDWARE:
            return tuple(source for source in self.others.sources() if source.pinned)
        return tuple(source for source in self.place.sources() if source in self.others.sources())

    @property
    def programs(self) -> frozenset[str]:
        """Those that look from both vantages."""
        own = ["hardware"] if self.with_hardware else []
        return closed([*own, *(source.program for source in self.meet)])


@dataclass(frozen=True)
class Passes(Question):
    """``check CR-004``: whether a law holds."""

    check: str

    def __str__(self) -> str:
        return f"check {self.check}"

    @property
    def programs(self) -> frozenset[str] | None:
        """A law may look at whatever there is, unless it is about one program that runs on request."""
        law = LAWS_ON_REQUEST.get(self.check)
        if law is None:
            return None
        # A VM that was saved is judged where it was restored.
        return closed(["restore" if law.program == "save" else law.program])


@dataclass(frozen=True)
class Moves(Question):
    """``migrate(deb:6.1 -> this) at worst visible``: what becomes of VMs; THIS is one of the two kernels."""

    source: str
    destination: str
    outcome: Outcome
    at_worst: bool = False
    strategy: str = ""
    vmm: str = ""

    def __str__(self) -> str:
        return f"{self.subject} {'at worst' if self.at_worst else 'is'} {self.outcome}"

    @property
    def subject(self) -> str:
        """The move, as it is written."""
        narrowed = {"strategy": self.strategy, "vmm": self.vmm}
        rest = "".join(f",{key}={quoted(value, CHOICE)}" for key, value in narrowed.items() if value)
        return f"migrate({quoted(self.source, SPEC)} -> {quoted(self.destination, SPEC)}{rest})"

    @property
    def kernel(self) -> str:
        """The spec of the kernel that is not the capture's."""
        return self.destination if self.source == THIS else self.source

    @property
    def programs(self) -> frozenset[str]:
        """Those that save and restore VMs."""
        return closed(["restore"])


@dataclass(frozen=True)
class Same(Question):
    """``same as FILE``: whether every reading of the launch is that of another capture."""

    file: str

    def __str__(self) -> str:
        return f"same as {quoted(self.file, BARE)}"

    @property
    def programs(self) -> frozenset[str]:
        """The one that looks at the launch."""
        return closed(["view"])


@dataclass(frozen=True)
class Prints(Question):
    """``console has TEXT``: whether the host's console shows a text."""

    text: str

    def __str__(self) -> str:
        return f"console has {quoted(self.text, BARE)}"

    @property
    def programs(self) -> None:
        """What is printed may be printed by whatever runs."""
        return


@dataclass(frozen=True)
class Not(Question):
    """``not …``."""

    of: Question

    def __str__(self) -> str:
        return f"not {_within(self.of, (Both, Either))}"

    @property
    def parts(self) -> tuple[Question, ...]:
        """What is denied."""
        return self.of.parts

    @property
    def depth(self) -> int:
        """One more than what is denied."""
        return self.of.depth + 1


@dataclass(frozen=True)
class Joined(Question):
    """Two or more questions as one."""

    of: tuple[Question, ...]

    @property
    def parts(self) -> tuple[Question, ...]:
        """The parts of all."""
        return tuple(leaf for part in self.of for leaf in part.parts)

    @property
    def depth(self) -> int:
        """One more than the deepest."""
        return max(part.depth for part in self.of) + 1


@dataclass(frozen=True)
class Both(Joined):
    """``… and …``, of two or more."""

    def __str__(self) -> str:
        return " and ".join(_within(part, (Both, Either)) for part in self.of)


@dataclass(frozen=True)
class Either(Joined):
    """``… or …``, of two or more."""

    def __str__(self) -> str:
        return " or ".join(_within(part, (Either,)) for part in self.of)


def _within(part: Question, weaker: tuple[type[Question], ...]) -> str:
    return f"({part})" if isinstance(part, weaker) else f"{part}"
