"""From the words of a predicate to what they name: vantages, registers, fields, places, laws, outcomes.

What has no name is refused at its column, with the nearest that has one.
"""

import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ccsight.arm64.registers import CCSIDR_EL1
from ccsight.arm64.suggest import nearest
from ccsight.checks import places
from ccsight.checks.migration import STRATEGIES
from ccsight.checks.places import Place
from ccsight.checks.questions import THIS, Alike, Moves, Question, Reads, fields
from ccsight.checks.registry import LAWS, LAWS_ON_REQUEST, Comparison, named
from ccsight.errors import UsageError
from ccsight.evidence.guests import TOO_LONG
from ccsight.evidence.views import Vantage
from ccsight.kvm.vmms import VMMS, Outcome


class Refused(Exception):
    """A word names nothing, or nothing that could be asked; ``at`` is its column, counted from 0."""

    def __init__(self, at: int, fact: str, next_step: str = "") -> None:
        super().__init__(fact)
        self.at = at
        self.fact = fact
        self.next_step = next_step


@dataclass(frozen=True)
class Word:
    """A piece of the text, and the column where it stands; in quotes it is no number and no vantage."""

    said: str
    at: int
    quoted: bool = False

    @property
    def number(self) -> int | None:
        """The number that it is, if it is one."""
        if self.quoted or not _NUMBER.fullmatch(self.said):
            return None
        return int(self.said, 16 if self.said[:2] in ("0x", "0X") else 10)


Setting = tuple[Word, Word]


@dataclass(frozen=True)
class Path:
    """What stands before an operator: ``guest(vcpu=1).CCSIDR_EL1[2].NumSets`` in pieces."""

    parts: tuple[Word, ...]
    settings: tuple[Setting, ...]


_NUMBER = re.compile(r"0[xX][0-9a-fA-F]+|[0-9]+")
_ORDERED = ("<", "<=", ">", ">=")
_VANTAGES = tuple(map(str, Vantage))
#: What a reading may say in place of a value, beside the names of errnos.
_PROBLEMS = ("UNDEF", "TRAPPED", TOO_LONG)
_ESR = re.compile(r"ESR 0x[0-9a-f]+")
_WIDEST = (1 << 64) - 1
_MOST_CPUS = 4095
_NO_PROGRAM = "no program {} reads registers"
_WHICH_CACHE = "CCSIDR_EL1[0] is the data or unified cache of level 1, [1] its instruction cache, [2] level 2"
#: How a comparison's question is asked.
_INSTEAD = {
    "CR-007": "migrate(SPEC -> this) is transparent",
    "CR-008": "migrate(this -> SPEC) is transparent",
    "CR-020": "migrate(SPEC -> this) is transparent",
    "CR-009": "same as FILE",
    "CR-015": "guest.ID_AA64MMFR2_EL1.CCIDX == 0",
}


def _like(word: str, known: Iterable[str]) -> str:
    names = list(dict.fromkeys(known))
    same = [name for name in names if name.casefold() == word.casefold()]
    return f"did you mean {same[0]!r}?" if same else nearest(word, names)


def _one_of(word: Word, known: Iterable[str], fact: str) -> str:
    names = list(known)
    if word.said not in names:
        raise Refused(word.at, fact.format(repr(word.said)), _like(word.said, names))
    return word.said


def law(word: Word) -> str:
    """Return the id of a law. Refuses what is judged of two captures, with the way to ask that."""
    check, laws = word.said, sorted([*LAWS, *LAWS_ON_REQUEST])
    if check in laws:
        return check
    try:
        other = named(check)
    except UsageError:
        raise Refused(word.at, f"there is no law {check!r}", _like(check, laws)) from None
    what = "is a comparison" if isinstance(other, Comparison) else "is not judged of one capture"
    instead = _INSTEAD.get(check)
    next_step = f"write it as: {instead}" if instead else f"laws: {', '.join(laws)}"
    raise Refused(word.at, f"{check} {what}: check takes a law", next_step)


def moves(ends: tuple[Word, Word], choices: Sequence[Setting], outcome: Word, *, at_worst: bool) -> Question:
    """Return the question of VMs that move from or to this kernel."""
    source, destination = (end.said for end in ends)
    if (source == THIS) == (destination == THIS):
        raise Refused(
            ends[0].at,
            "VMs move from another kernel to this one, or from this one to another",
            "migrate(deb:6.1 -> this), or migrate(this -> deb:6.1); from this to this is check CR-006",
        )
    said = _settings(choices, ("strategy", "vmm"))
    found = {"strategy": "", "vmm": ""}
    for key, known in (("strategy", [*STRATEGIES]), ("vmm", [vmm.name for vmm in VMMS])):
        if key in said:
            found[key] = _one_of(said[key], known, f"there is no {key} {{}}")
    word = Outcome(_one_of(outcome, map(str, Outcome), "{} is no outcome of a migration"))
    return Moves(source, destination, word, at_worst, **found)


def _settings(given: Iterable[Setting], known: Sequence[str]) -> dict[str, Word]:
    found: dict[str, Word] = {}
    for key, value in given:
        name = _one_of(key, known, "{} is nothing that can be said here")
        if name in found:
            raise Refused(key.at, f"{name} is said twice", "say it once")
        found[name] = value
    return found


def compared(path: Path, operator: Word, value: Word) -> Question:
    """Return the question whether a reading is what a value says, or whether two vantages agree."""
    first, *rest = path.parts
    vantage = Vantage(first.said) if first.said in _VANTAGES and not first.quoted else None
    if vantage is None and (path.settings or len(rest) > 1):
        raise Refused(first.at, f"there is no vantage {first.said!r}", _like(first.said, _VANTAGES))
    place = _place(vantage, path.settings)
    if vantage and not rest:
        return _alike(place, operator, value)
    register, *fields_asked = rest if vantage else path.parts
    if len(fields_asked) > 1:
        raise Refused(fields_asked[1].at, "a field has no parts", "VANTAGE.REGISTER.FIELD is the most")
    name = _register(register, () if vantage else _VANTAGES)
    field = _field(name, fields_asked[0]) if fields_asked else ""
    _prove_read(place, name, register)
    wanted = _value(name, field, operator, value)
    if name == CCSIDR_EL1.name and (field or isinstance(wanted, int)):
        raise Refused(register.at, "nobody reads CCSIDR_EL1 without saying of which cache", _WHICH_CACHE)
    return Reads(place, name, field, operator.said, wanted)


def _place(vantage: Vantage | None, settings: Iterable[Setting]) -> Place:
    said = _settings(settings, ("vcpu", "phase", "program", "cpu"))
    phase = _one_of(said["phase"], places.phases(), "there is no phase {}") if "phase" in said else ""
    program = _one_of(said["program"], places.programs(), _NO_PROGRAM) if "program" in said else ""
    vcpu, cpu = (_cpu(said[key]) if key in said else None for key in ("vcpu", "cpu"))
    place = Place(vantage, vcpu, phase, program, cpu)
    if said and not place.sources():
        at = min(word.at for word in said.values())
        raise Refused(at, f"nobody looks from {place}", f"programs and phases: {_looked_at(vantage)}")
    return place


def _cpu(word: Word) -> int:
    if word.number is None or word.number > _MOST_CPUS:
        raise Refused(word.at, f"{word.said!r} is no number of a CPU", "count from 0")
    return word.number


def _looked_at(vantage: Vantage | None) -> str:
    """Return the programs that look from a vantage, with their phases."""
    found = {
        source.title: f"{source.title} ({', '.join(source.phases)}{'' if source.pinned else '; on no CPU'})"
        for source in places.SOURCES
        if vantage in (None, *source.reads)
    }
    return ", ".join(found.values())


def _register(word: Word, others: Sequence[str]) -> str:
    if word.said in places.registers():
        return word.said
    what = "register or vantage" if others else "register"
    known = [*others, *places.registers()]
    raise Refused(word.at, f"there is no {what} {word.said!r} that is read", _like(word.said, known))


def _prove_read(place: Place, register: str, word: Word) -> None:
    if place.sources(register):
        return
    if register == CCSIDR_EL1.name:
        raise Refused(word.at, "nobody reads CCSIDR_EL1 without saying of which cache", _WHICH_CACHE)
    able = [f"{vantage}.{register}" for vantage in Vantage if Place(vantage).sources(register)]
    where = f"from {place}" if f"{place}" else "of a VM"
    raise Refused(word.at, f"nobody reads {register} {where}", f"it is read as {', '.join(able)}")


def _field(register: str, word: Word) -> str:
    known = list(dict.fromkeys(each.name for each in fields(register)))
    if not known:
        raise Refused(word.at, f"{register} has no fields here", f"compare all of it: {register} == 0x0")
    return _one_of(word, known, f"{register} has no field {{}}")


def _value(register: str, field: str, operator: Word, word: Word) -> int | str:
    """Return what a reading is compared with. Refuses what it can never be."""
    found = fields(register, field) if field else ()
    if word.number is not None:
        widest = max((each.mask >> each.lo for each in found), default=_WIDEST)
        if word.number > widest:
            what = f"{register}.{field}" if field else register
            raise Refused(word.at, f"{what} is never {word.said}", f"at most {widest:#x}")
        return word.number
    words = [name for each in found for name in each.words]
    if word.said not in (*words, *_PROBLEMS, *errno.errorcode.values()) and not _ESR.fullmatch(word.said):
        known = [*words, *_PROBLEMS, "ENOENT", "EINVAL", "EBUSY", "ENOEXEC"]
        raise Refused(word.at, f"no reading says {word.said!r}", _like(word.said, known))
    if operator.said in _ORDERED:
        raise Refused(operator.at, f"words have no order: {word.said!r}", "compare words with == or !=")
    return word.said


def _alike(place: Place, operator: Word, word: Word) -> Question:
    other = Vantage(_one_of(word, _VANTAGES, "{} is no vantage"))
    if operator.said in _ORDERED:
        raise Refused(operator.at, "vantages have no order", "compare them with == or !=")
    question = Alike(place, other, operator.said == "==")
    if other is place.vantage or not question.meet:
        fact = f"{place} and {other} are never read in one place"
        raise Refused(word.at, fact, "compare registers one by one")
    return question
