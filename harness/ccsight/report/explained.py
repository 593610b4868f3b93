"""What ``ccsight explain`` says: of a register id or name, an errno, a message, or a check."""

import re
from collections.abc import Iterator

from ccsight.arm64 import kvm_ids
from ccsight.arm64.kvm_id_parts import Parts, parts
from ccsight.arm64.registers import REGISTERS, base_name
from ccsight.arm64.suggest import meant, nearest
from ccsight.checks import (
    AGREEMENTS,
    COMPARISONS,
    CROSSINGS,
    LAWS,
    LAWS_ON_REQUEST,
    TRIALS,
    Agreement,
    Comparison,
    Law,
    Trial,
    named,
)
from ccsight.checks.advice import advice
from ccsight.checks.language import LANGUAGE
from ccsight.errors import UsageError
from ccsight.evidence.model import SCHEMA
from ccsight.evidence.record import Record, to_json
from ccsight.kvm.carried import CARRIED, OTHERS
from ccsight.kvm.messages import MESSAGES, Message, messages
from ccsight.kvm.refusals import ERRNOS, Refusal, refusals
from ccsight.report.blocks import Block, Line, Page, Tone, grid, line, spans

#: Numbers as VMMs print ids: QEMU without 0x, Firecracker in hex or decimal.
_NUMBER = re.compile(r"\b(0x[0-9a-f]+|6[0-9a-f]{15}|69[0-9]{17})\b", re.IGNORECASE)
#: QEMU prints a system register by its encoding.
_ENCODING = re.compile(r"op0:(\d) op1:(\d) crn:(\d+) crm:(\d+) op2:(\d)", re.IGNORECASE)
_WORDS = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\[\d+\])?")
#: How alike names are when one letter is wrong: ZCR_EL1 is not CTR_EL1.
_MISSPELT = 0.85
_LIKE_A_REGISTER = re.compile(r"[A-Z][A-Z0-9_]*_EL[0-3]")
#: What strerror() says for the errnos of the table.
_SPOKEN = {
    "Invalid argument": "EINVAL",
    "No such file or directory": "ENOENT",
    "Device or resource busy": "EBUSY",
}
_KERNELS = {"native": "Linux up to v6.2", "normalised": "Linux since v6.3", "": "any kernel"}


#: What a check of each kind is.
_KINDS = {
    Law: "law: it must hold on any one kernel",
    Agreement: "law: it must hold between two machines with the same kernel",
    Trial: "law: a kernel with a patch or other options must boot where its base does; it fails only when it "
    "fails twice, with a good boot of its base between",
    Comparison: "comparison: measured, never a failure",
}
#: The word for the language of ``--where``.
_PREDICATE = "PREDICATE"
_CHECKS = (*LAWS, *LAWS_ON_REQUEST, *AGREEMENTS, *TRIALS, *COMPARISONS, *CROSSINGS)


class Explanation(Record, frozen=True):
    """One thing explained: what it is called, facts by label, and what to do."""

    title: str
    facts: tuple[tuple[str, str], ...]
    next_step: str


class Explained(Record, frozen=True):
    """What ``ccsight explain --json`` prints."""

    schema: int
    text: str
    explanations: tuple[Explanation, ...]


def explain(text: str) -> tuple[Explanation, ...]:
    """Return everything that a text has to be explained. Raises UsageError, naming what is nearest."""
    check = text.strip().upper()
    if check in _CHECKS:
        return (_check(check),)
    if check == _PREDICATE:
        return (_predicate(),)
    ids = dict.fromkeys(_ids(text))
    registers = dict.fromkeys([*map(kvm_ids.name, ids), *_registers(text)])
    if not registers:
        _refuse_misspelt(text)
    found = [_message(row) for row in messages(text)]
    errnos = _errnos(text)
    for errno in errnos:
        rows = {row: None for register in registers or [""] for row in refusals(base_name(register), errno)}
        found += [_refusal(row) for row in rows]
    known = kvm_ids.known()
    for kvm_id in dict.fromkeys([*ids, *(known[name] for name in registers if name in known)]):
        found.append(_register(kvm_id))
    if not found:
        raise _unknown(text)
    return tuple(found)


def _ids(text: str) -> Iterator[int]:
    for match in _NUMBER.finditer(text):
        word = match[0]
        number = int(word) if len(word) == 19 and word.isdigit() else int(word.removeprefix("0x"), 16)
        if parts(number):
            yield number
    for match in _ENCODING.finditer(text):
        op0, op1, crn, crm, op2 = map(int, match.groups())
        yield kvm_ids.of_encoding((op0, op1, crn, crm, op2))


def _registers(text: str) -> Iterator[str]:
    known = kvm_ids.known()
    for word in _WORDS.findall(text.upper()):
        if word in known:
            yield word
        elif word in REGISTERS:  # CCSIDR_EL1 without a selector
            yield next(name for name in known if base_name(name) == word)


def _refuse_misspelt(text: str) -> None:
    """Refuse a register that is called as one of ours nearly is: what holds for any would be no answer."""
    known = dict.fromkeys(map(base_name, kvm_ids.known()))
    for word in _WORDS.findall(text.upper()):
        if _LIKE_A_REGISTER.fullmatch(word) and (near := meant(word, known, _MISSPELT)):
            raise UsageError(
                f"{word} is no register that ccsight knows",
                evidence=near,
                next_step="write it as the Arm ARM does, or give its id: 0x603000000013…",
            )


def _errnos(text: str) -> list[str]:
    said = [errno for words, errno in _SPOKEN.items() if words.lower() in text.lower()]
    return list(dict.fromkeys([*said, *(word for word in _WORDS.findall(text.upper()) if word in ERRNOS)]))


def _check(check: str) -> Explanation:
    found = named(check)
    return Explanation(
        title=f"{check}: {found.title}",
        facts=(("kind", _KINDS[type(found)]), ("bug class", found.bug_class)),
        next_step=advice(check),
    )


def _predicate() -> Explanation:
    return Explanation(
        title="predicate: what tells a good capture from a bad one",
        facts=LANGUAGE,
        next_step="ccsight show --where PREDICATE asks a run that there is",
    )


def _message(row: Message) -> Explanation:
    facts = (("printed by", row.who), ("means", row.says), ("source", row.source))
    return Explanation(title=row.sample, facts=_told(facts), next_step=row.next_step)


def _refusal(row: Refusal) -> Explanation:
    facts = (
        ("refused", row.rule),
        ("by", _KERNELS[row.behaviour]),
        ("source", f"Linux arch/arm64/kvm: {row.source}"),
    )
    return Explanation(
        title=f"{row.register or 'any register'}: {row.errno}", facts=facts, next_step=row.next_step
    )


def _register(kvm_id: int) -> Explanation:
    said = parts(kvm_id)
    name = kvm_ids.name(kvm_id)
    base = base_name(name)
    known = CARRIED.get(base, OTHERS)
    facts = (
        ("id", f"{kvm_id:#x}"),
        ("is", REGISTERS[base].meaning if base in REGISTERS else ""),
        *(_bits(said) if said else ()),
        ("listed", known.listed),
        ("may be set", known.settable),
        (
            "carried by",
            "whoever restores all that KVM_GET_REG_LIST names: QEMU, Firecracker, Cloud Hypervisor",
        ),
        ("source", known.source),
    )
    return Explanation(title=name, facts=_told(facts), next_step=known.next_step)


def _bits(said: Parts) -> Iterator[tuple[str, str]]:
    yield "width", f"{said.bits} bits"
    yield "kind", f"{said.kind.name}: {said.kind.says}"
    if said.encoding:
        names = ("op0", "op1", "CRn", "CRm", "op2")
        numbers = zip(names, said.encoding, strict=True)
        yield "encoding", "  ".join(f"{name} {number}" for name, number in numbers)
    else:
        yield "selector" if said.kind.name == "demux" else "number", f"{said.rest:#x}"


def _told(facts: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    return tuple(fact for fact in facts if fact[1])


def _unknown(text: str) -> UsageError:
    samples = [row.sample for row in MESSAGES]
    names = [*kvm_ids.known(), *REGISTERS, *_CHECKS, *ERRNOS]
    close = nearest(text, samples), nearest(text.upper(), names)
    meant = next((guess for guess in reversed(close) if guess.startswith("did you")), "")
    return UsageError(
        f"nothing is known of {text!r}",
        evidence=meant
        or "known: ids and names of registers, errnos, checks, and messages of VMMs and kernels",
        next_step="ccsight explain --help has examples",
    )


def render(text: str) -> Page:
    """Return the page of ``ccsight explain``. Raises UsageError."""
    page: list[Block] = []
    for number, each in enumerate(explain(text)):
        rows = [(spans((label, Tone.DIM)), spans(said)) for label, said in each.facts]
        rows.append((spans(("next", Tone.DIM)), spans((each.next_step, Tone.CAUTION))))
        page += [*([Line()] if number else []), line((each.title, Tone.STRONG)), grid(rows)]
    return tuple(page)


def document(text: str) -> bytes:
    """Return :class:`Explained` as JSON. Raises UsageError."""
    return to_json(Explained(schema=SCHEMA, text=text, explanations=explain(text)))
