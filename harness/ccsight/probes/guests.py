"""The guests that ask KVM for odd things, one after the other in one script; what they say becomes views.

Complete or not at all, like all views. ``ccsight.evidence.guests`` says what the readings are called.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from ccsight.arm64.caches import Cache
from ccsight.arm64.registers import ccsidr
from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence import guests as names
from ccsight.evidence.guests import AARCH32_GUEST, SELECTORS_GUEST, SETWAY_GUEST, TOO_LONG
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage, View
from ccsight.probes.outcome import GIVEN_BACK, OFF, Initialised, Ran
from ccsight.probes.runner import Probe
from ccsight.probes.script import EL1_32BIT, Results, Script, Step
from ccsight.probes.stream import Line
from ccsight.probes.sweep import read_in_guest
from ccsight.probes.views import exception, guest_reading

_VCPU = 0
#: A word before each value of the guest ``aarch32``: it is a value; or the read was UNDEFINED.
_VALUE, _UNDEFINED = 0, 1


@dataclass(frozen=True)
class Guests:
    """The script, and its steps that have something to say."""

    script: Script
    selectors: Step[Ran]
    setway: Step[Ran]
    narrow: Step[Initialised]
    wide: Step[Initialised]
    aarch32: Step[Ran]


def guests() -> Guests:
    """Return the script: each guest in a VM of its own, so that no CPU has code of another one's in a cache.

    Whether there is AArch32 at EL1 turns out on the way. Where there is not, the vCPU is made an AArch64
    one, in which the guest ``aarch32`` has nothing to say; where there is, KVM refuses to change it again.
    """
    script = Script()
    selectors, setway = (_alone(script, guest) for guest in (SELECTORS_GUEST, SETWAY_GUEST))
    script.vm(vcpus=1)
    narrow, wide = script.init(_VCPU, features=EL1_32BIT), script.init(_VCPU)
    return Guests(script, selectors, setway, narrow, wide, _run(script, AARCH32_GUEST))


def _alone(script: Script, guest: str) -> Step[Ran]:
    script.vm(vcpus=1)
    script.init(_VCPU)
    ran = _run(script, guest)
    script.drop()
    return ran


def _run(script: Script, guest: str) -> Step[Ran]:
    script.load(guest)
    script.start(_VCPU)
    return script.run(_VCPU)


def observe(probe: Probe, deadline: Deadline) -> tuple[View, ...]:
    """Return what the guests see on a host. Raises as ``Probe.observe`` does."""
    asked = guests()
    return views(asked, probe.script("guests", asked.script, deadline))


def views(asked: Guests, results: Results) -> tuple[View, ...]:
    """Return what the guests saw. Raises ProbeError when anything is missing or odd."""
    el1, el0 = selectors_readings(_lines(results[asked.selectors], SELECTORS_GUEST))
    loops = setway_readings(_lines(results[asked.setway], SETWAY_GUEST))
    narrow, wide = results[asked.narrow].problem, results[asked.wide].problem
    if bool(narrow) == bool(wide):
        _refuse(AARCH32_GUEST, f"initialised as AArch32: {narrow or 'done'}, as AArch64: {wide or 'done'}")
    return (
        _view(Vantage.GUEST, SELECTORS_GUEST, el1),
        _view(Vantage.GUEST_EL0, SELECTORS_GUEST, el0),
        _view(Vantage.GUEST, SETWAY_GUEST, loops),
        _view(Vantage.GUEST_AARCH32, AARCH32_GUEST, _aarch32(results[asked.aarch32], narrow)),
    )


def selectors_readings(lines: Sequence[Line]) -> tuple[dict[str, Reading], dict[str, Reading]]:
    """Return what the guest ``selectors`` itself sent: EL1's readings and EL0's."""
    count = sum(line.kind == "selectors" for line in lines)
    first, lists, rest = lines[:1], lines[1 : 1 + count], lines[1 + count :]
    el1 = _in_order(first, "1", names.SELECTORS_EL1[:1]) | _selected(lists)
    behind = names.SELECTORS_EL1[len(el1) :]
    return (
        el1 | _in_order(rest[: len(behind)], "1", behind),
        _in_order(rest[len(behind) :], "0", names.SELECTORS_EL0),
    )


def _in_order(lines: Sequence[Line], level: str, expected: Sequence[str]) -> dict[str, Reading]:
    if len(lines) != len(expected):
        _refuse(SELECTORS_GUEST, f"{len(lines)} readings at EL{level} where {len(expected)} were expected")
    return {name: _reading(line, level, name) for name, line in zip(expected, lines, strict=True)}


def _selected(lines: Sequence[Line]) -> dict[str, Reading]:
    """Read the lists of what comes back for each selector: CSSELR_EL1, and CCSIDR_EL1."""
    found: list[Reading] = []
    for line in lines:
        line.keys("from", "values")
        if line.kind != "selectors" or 2 * line.count("from") != len(found):
            line.refuse("is not the next piece of its list")
        found += [read_in_guest(item) for item in line.items("values")]
    if len(found) != len(names.SELECTED):
        _refuse(SELECTORS_GUEST, f"{len(found)} values where {len(names.SELECTED)} were expected")
    return dict(zip(names.SELECTED, found, strict=True))


def setway_readings(lines: Sequence[Line]) -> dict[str, Reading]:
    """Return what the guest ``setway`` itself sent: how it sees each cache that it cleans, and its loops."""
    readings: dict[str, Reading] = {}
    expected = ["CLIDR_EL1", "ID_AA64MMFR2_EL1"]
    caches: dict[str, Cache] = {}
    for line in lines:
        wanted = expected[len(readings)] if len(readings) < len(expected) else "nothing more"
        readings[wanted] = _loop(line, caches[wanted]) if wanted in caches else _reading(line, "1", wanted)
        if wanted == "CLIDR_EL1":
            for cache in names.cleaned(readings[wanted].value or 0):
                caches[names.set_way(cache.name)] = cache
                expected += [ccsidr(cache.selector), names.set_way(cache.name)]
    if len(readings) != len(expected):
        _refuse(SETWAY_GUEST, f"nothing of {expected[len(readings)]}")
    return readings


def _loop(line: Line, cache: Cache) -> Reading:
    if line.kind != "loop" or line.values.get("level") != str(cache.level):
        line.refuse(f"is not the loop over the {cache.name} cache")
    if "esr" in line.values:
        line.keys("level", "count", "esr")
        return exception(line.hex("esr"))
    line.keys("level", "count", "ended")
    if line.values["ended"] not in ("0", "1"):
        line.refuse("does not say whether the loop has ended")
    return Reading(value=line.hex("count")) if line.values["ended"] == "1" else Reading(problem=TOO_LONG)


def _aarch32(ran: Ran, problem: str) -> dict[str, Reading]:
    """Read the words of the guest ``aarch32``, two for each reading."""
    if ran.end != GIVEN_BACK or ran.said:
        _refuse(AARCH32_GUEST, f"it ended as {ran.end}")
    if problem:
        if ran.values:
            _refuse(AARCH32_GUEST, "it spoke where there is no AArch32")
        return {names.INIT: Reading(problem=problem)}
    if len(ran.values) != 2 * len(names.AARCH32):
        _refuse(AARCH32_GUEST, f"{len(ran.values)} words, the last of them {ran.values[-1:]}")
    words = zip(ran.values[::2], ran.values[1::2], strict=True)
    return {name: _word(name, *pair) for name, pair in zip(names.AARCH32, words, strict=True)}


def _word(name: str, kind: Hex, value: Hex) -> Reading:
    if kind not in (_VALUE, _UNDEFINED) or value >> 32 or (kind == _UNDEFINED and value):
        _refuse(AARCH32_GUEST, f"{kind:#x} and {value:#x} for {name}")
    return Reading(problem="UNDEF") if kind == _UNDEFINED else Reading(value=value)


def _lines(ran: Ran, guest: str) -> tuple[Line, ...]:
    if ran.end != OFF or ran.el1 or ran.values:
        _refuse(guest, f"it ended as {ran.end}, or said what it does not say")
    return ran.said


def _reading(line: Line, level: str, name: str) -> Reading:
    if (line.kind, line.values.get("el"), line.values.get("name")) != ("reg", level, name):
        line.refuse(f"is not the reading of {name} at EL{level} that was expected")
    return guest_reading(line, ("el",))


def _view(vantage: Vantage, guest: str, readings: dict[str, Reading]) -> View:
    return View(vantage=vantage, vcpu=_VCPU, program=guest, phase=guest, readings=readings)


def _refuse(guest: str, evidence: str) -> NoReturn:
    raise ProbeError(
        f"the guest {guest} did not say what it says",
        evidence=evidence,
        next_step="nothing that it said was used; repeat the capture",
    )
