"""From the words of a predicate to what they name: vantages, registers, fields, places, laws, outcomes.

What has no name is refused at its column, with the nearest that has one.
"""

import errno
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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


class Word(str):
    """A piece of the text, and where it stands; lark's tokens are such words."""

    type: str
    start_pos: int | None


Setting = tuple[Word, Word]


@dataclass(frozen=True)
class Path:
    """What stands before an operator: ``guest(vcpu=1).CCSIDR_EL1[2].NumSets`` in pieces."""

    parts: tuple[Word, ...]
    settings: tuple[Setting, ...]


_ORDERED = ("<", "<=", ">", ">=")
_VANTAGES = tuple(map(str, Vantage))
#: What a reading may say in place of a value, beside the names of errnos.
_PROBLEMS = ("UNDEF", "TRAPPED", TOO_LONG)
_ESR = re.compile(r"ESR 0x[0-9a-f]+")
_WIDEST = 1 << 64
#: How a comparison's question is asked.
_INSTEAD = {
    "CR-007": "migrate(SPEC -> this) is transparent",
    "CR-008": "migrate(this -> SPEC) is transparent",
    "CR-020": "migrate(SPEC -> this) is transparent",
    "CR-009": "same as FILE",
    "CR-015": "guest.ID_AA64MMFR2_EL1.CCIDX == 0",
}


def _at(word: Word) -> int:
    return word.start_pos or 0


def text(word: Word) -> str:
    """Return what a word says: without its quotes and trailing blanks."""
    if word.type == "STRING":
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    return str(word).rstrip()


def _like(word: str, known: Iterable[str]) -> str:
    names = list(known)
    same = [name for name in names if name.casefold() == word.casefold()]
    return f"did you mean {same[0]!r}?" if same else nearest(word, names)


def _one_of(word: Word, known: Iterable[str], fact: str) -> str:
    said, names = text(word), list(known)
    if said not in names:
        raise Refused(_at(word), fact.format(said), _like(said, names))
    return said


def law(word: Word) -> str:
    """Return the id of a law. Refuses what is judged of two captures, with the way to ask that."""
    check = text(word)
    if check in LAWS or check in LAWS_ON_REQUEST:
        return check
    try:
        other = named(check)
    except UsageError:
        raise Refused(
            _at(word), f"there is no law {check!r}", _like(check, [*LAWS, *LAWS_ON_REQUEST])
        ) from None
    what = "is a comparison" if isinstance(other, Comparison) else "is not judged of one capture"
    laws = ", ".join(sorted([*LAWS, *LAWS_ON_REQUEST]))
    instead = _INSTEAD.get(check)
    raise Refused(
        _at(word),
        f"{check} {what}: check takes a law",
        f"write it as: {instead}" if instead else f"laws: {laws}",
    )


def moves(
    source: Word, destination: Word, choices: Sequence[Setting], outcome: Word, *, at_worst: bool
) -> Question:
    """Return the question of VMs that move from or to this kernel."""
    specs = text(source), text(destination)
    if (THIS in specs) + (specs == (THIS, THIS)) != 1:
        fact = "VMs move from another kernel to this one, or from this one to another"
        raise Refused(_at(source), fact, "migrate(deb:6.1 -> this), or migrate(this -> deb:6.1); check CR-006 is this to this")
    said = _settings(choices, ("strategy", "vmm"))
    found = {}
    for key, known in (("strategy", [*STRATEGIES]), ("vmm", [vmm.name for vmm in VMMS])):
        found[key] = _one_of(said[key], known, f"there is no {key} {{!r}}") if key in said else ""
    word = _one_of(outcome, map(str, Outcome), "{!r} is no outcome of a migration")
    return Moves(*specs, Outcome(word), at_worst, found["strategy"], found["vmm"])


def _settings(given: Iterable[Setting], known: Sequence[str]) -> dict[str, Word]:
    found: dict[str, Word] = {}
    for key, value in given:
        name = _one_of(key, known, "{!r} is nothing that can be said here")
        if name in found:
            raise Refused(_at(key), f"{name} is said twice", "")
        found[name] = value
    return found


def compared(path: Path, operator: Word, value: Word) -> Question:
    """Return the question whether a reading is what a value says, or whether two vantages agree."""
    first, *rest = path.parts
    vantage = Vantage(first) if first in _VANTAGES and first.type != "STRING" else None
    if vantage is None and (path.settings or len(rest) > 1):
        raise Refused(_at(first), f"there is no vantage {text(first)!r}", _like(text(first), _VANTAGES))
    place = _place(vantage, path.settings)
    if vantage and not rest:
        return _alike(place, first, operator, value)
    if vantage is None:
        rest = [first, *rest]
    if len(rest) > 2:
        raise Refused(_at(rest[2]), "a field has no parts", "VANTAGE.REGISTER.FIELD is the most")
    register = _register(rest[0], None if vantage else _VANTAGES)
    field = _field(register, rest[1]) if len(rest) > 1 else ""
    _prove_read(place, register, rest[0])
    return Reads(place, register, field, str(operator), _value(register, field, operator, value))


def _place(vantage: Vantage | None, settings: Iterable[Setting]) -> Place:
    said = _settings(settings, ("vcpu", "phase", "program", "cpu"))
    phase = _one_of(said["phase"], places.phases(), "there is no phase {!r}") if "phase" in said else ""
    programs = places.programs()
    program = _one_of(said["program"], programs, "no program {!r} reads registers") if "program" in said else ""
    place = Place(vantage, _number(said.get("vcpu")), phase, program, _number(said.get("cpu")))
    if said and not place.sources():
        at = min(map(_at, said.values()))
        raise Refused(at, f"nobody looks from {place}", _where(vantage))
    return place


def _number(word: Word | None) -> int | None:
    if word is None:
        return None
    if not re.fullmatch(r"[0-9]{1,4}", word):
        raise Refused(_at(word), f"{text(word)!r} is no number of a CPU", "count from 0")
    return int(word)


def _where(vantage: Vantage | None, register: str = "") -> str:
    """Return from where a register, or any, is read."""
    found = [
        f"{each}({'phase=' + '|'.join(source.phases)}): {source.title}"
        for source in places.SOURCES
        for each in source.reads
        if vantage in (None, each) and (not register or register in source.reads[each])
    ]
    return f"{register or vantage or 'registers'} can be read as {'; '.join(found)}"


def _register(word: Word, others: Sequence[str] | None) -> str:
    register = text(word)
    if register not in places.registers():
        known = [*places.registers(), *(others or ())]
        what = "register" if others is None else "register or vantage"
        raise Refused(_at(word), f"no program reads a {what} {register!r}", _like(register, known))
    return register


def _prove_read(place: Place, register: str, word: Word) -> None:
    if not place.sources(register):
        where = f"from {place}" if f"{place}" else "of a VM"
        next_step = _where(place.vantage if _reads(place.vantage, register) else None, register)
        if register == "CCSIDR_EL1":
            next_step = "say which cache: CCSIDR_EL1[0] is the data side of level 1, [1] its instruction side"
        raise Refused(_at(word), f"nobody reads {register} {where}", next_step)


def _reads(vantage: Vantage | None, register: str) -> bool:
    return vantage is not None and bool(Place(vantage).sources(register))


def _field(register: str, word: Word) -> str:
    known = list(dict.fromkeys(each.name for each in fields(register)))
    if not known:
        raise Refused(_at(word), f"{register} has no fields here", f"compare all of it: {register} == 0x0")
    return _one_of(word, known, f"{register} has no field {{!r}}")


def _value(register: str, field: str, operator: Word, word: Word) -> int | str:
    """Return what a reading is compared with. Refuses what it can never be."""
    found = fields(register, field) if field else ()
    if word.type == "NUMBER":
        number = int(word, 16 if word[:2] in ("0x", "0X") else 10)
        widest = max((each.mask >> each.lo for each in found), default=_WIDEST - 1)
        if number > widest:
            what = f"{register}.{field}" if field else register
            raise Refused(_at(word), f"{what} is never {word}", f"at most {widest:#x}")
        return number
    said = text(word)
    if operator in _ORDERED:
        raise Refused(_at(operator), f"words have no order: {said!r}", "compare words with == or !=")
    words = [name for each in found for name in each.words]
    if said not in (*words, *_PROBLEMS, *errno.errorcode.values()) and not _ESR.fullmatch(said):
        known = [*words, *_PROBLEMS, "ENOENT", "EINVAL", "EBUSY", "ENOEXEC"]
        raise Refused(_at(word), f"no reading says {said!r}", _like(said, known))
    return said


def _alike(place: Place, vantage: Word, operator: Word, word: Word) -> Question:
    other = Vantage(_one_of(word, _VANTAGES, "{!r} is no vantage; compare one with another, or name a register"))
    if operator in _ORDERED:
        raise Refused(_at(operator), "vantages have no order", f"{vantage} == {other}")
    question = Alike(place, other, operator == "==")
    if not question.meet:
        raise Refused(
            _at(word), f"{place} and {other} are never read in the same place", "compare registers one by one"
        )
    return question
