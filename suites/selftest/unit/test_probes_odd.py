"""From the streams of the guests that ask for odd things to evidence: every reading, or nothing."""

import pytest
from recorded import MODELS, SERIES
from streams import edited, inserted, recorded, replaced, without

from ccsight.arm64.caches import listed
from ccsight.errors import ProbeError
from ccsight.evidence import guests as names
from ccsight.evidence.views import Reading, Vantage
from ccsight.probes import guests
from ccsight.probes.script import results
from ccsight.probes.stream import parse
from ccsight.probes.views import guest_body

CELLS = [f"{model}-{series}" for model in MODELS for series in SERIES]
#: Has an AArch32 EL1, and sizes; has neither.
WITH, WITHOUT = "cortex-a57-6.1", "neoverse-v1-6.12"


def seen(cell: str, edit=lambda lines: lines):
    asked = guests.guests()
    stream = parse(edited(recorded(cell, "guests"), edit), "test")
    return guests.views(asked, results(stream, asked.script))


@pytest.mark.parametrize("cell", CELLS)
def test_views_are_complete_and_in_order(cell):
    el1, el0, setway, aarch32 = seen(cell)
    assert [(view.vantage, view.program) for view in (el1, el0, setway, aarch32)] == [
        (Vantage.GUEST, "selectors"),
        (Vantage.GUEST_EL0, "selectors"),
        (Vantage.GUEST, "setway"),
        (Vantage.GUEST_AARCH32, "aarch32"),
    ]
    assert all((view.phase, view.vcpu, view.cpu) == (view.program, 0, None) for view in seen(cell))
    assert tuple(el1.readings) == names.SELECTORS_EL1
    assert tuple(el0.readings) == names.SELECTORS_EL0
    expected = names.AARCH32 if cell.startswith("cortex-a57") else (names.INIT,)
    assert tuple(aarch32.readings) == expected


def test_the_script_is_one_that_needs_no_answer_on_the_way():
    asked = guests.guests()
    assert asked.script.images == ("selectors.img", "setway.img", "aarch32.img")
    assert "init 0 0 0x6\ninit 0 0 0x4\n" in asked.script.text()


@pytest.mark.parametrize("cell", CELLS)
def test_each_cache_below_the_level_of_coherency_is_cleaned(cell):
    view = seen(cell)[2]
    loops = {name: reading.value for name, reading in view.readings.items() if name.startswith("DC")}
    sizes = {"cortex-a57": (512, 32768), "neoverse-n1": (1024, 16384), "neoverse-v1": (1024, 16384)}
    if cell.endswith("6.1"):
        l1d, l2 = sizes[cell.removesuffix("-6.1")]
        assert loops == {"DC CISW L1D": l1d, "DC CISW L2": l2}
    else:
        assert set(loops.values()) == {1}


def test_a_cache_is_cleaned_when_it_holds_data_below_loc():
    assert [cache.name for cache in names.cleaned(0x0A200023)] == ["L1D", "L2"]
    assert [cache.name for cache in names.cleaned(0x82000023)] == ["L1D", "L2"]
    assert names.cleaned(0x80000023) == ()  # LoC is 0
    assert names.cleaned(0x01000001) == ()  # instructions only
    assert [cache.name for cache in names.cleaned(0x0700_0100)] == ["L3"]  # loops go over what is not there
    for clidr in (0x0A200023, 0x82000023, 0xC3000123):
        assert {*names.cleaned(clidr)} <= {*listed(clidr)}


def test_guests_say_the_same_to_qemu():
    lines = guest_body(parse(recorded("bare", "selectors"), "QEMU"), "selectors", 0)
    el1, el0 = guests.selectors_readings(lines)
    assert el1["CCSIDR_EL1[0]"].value == 0xFF0000001A
    assert el0[names.UCT_0].problem == "TRAPPED"
    lines = guest_body(parse(recorded("bare", "setway"), "QEMU"), "setway", 0)
    assert guests.setway_readings(lines)["DC CISW L2"].value == 16384


def test_an_exception_is_a_problem_of_that_reading():
    el1, *_ = seen(WITH, replaced("values=0x0,0x700fe01a", "values=0x0,!0x2000000"))
    assert el1.readings["CCSIDR_EL1[0]"] == Reading(problem="UNDEF")
    assert el1.value("CSSELR_EL1<=0") == 0


def test_a_loop_says_how_it_ended():
    def loop(old: str, new: str) -> Reading:
        return seen(WITH, replaced(old, new))[2].readings["DC CISW L1D"]

    line = "level=1%20count=0x200%20ended="
    assert loop(f"{line}1", f"{line}0").problem == names.TOO_LONG
    assert loop(f"{line}1", "level=1%20count=0x20%20esr=0x2000000").problem == "UNDEF"


@pytest.mark.parametrize("cell", [WITH, WITHOUT])
def test_any_line_missing_is_refused(cell):
    """Also when the thief has put the numbers right."""
    raw = recorded(cell, "guests")
    for index in range(len(raw.splitlines()) - 2):
        with pytest.raises(ProbeError):
            seen(cell, without(index))


@pytest.mark.parametrize(
    "edit",
    [
        replaced("name=CLIDR_EL1", "name=CTR_EL0", 1),
        replaced("el=0%20name=CTR_EL0%20", "el=1%20name=CTR_EL0%20"),
        replaced("name=DCZID_EL0%20value=0x4", "name=DCZID_EL0%20errno=EIO"),
        replaced("from=3%20", "from=4%20"),
        replaced("values=0x3,0x0,0x4", "values=0x3,0x0"),
        replaced("values=0x3,0x0,", "values=0x3,0x0,0x0,0x0,"),
        replaced("values=0x3,0x0,", "values=0x3,ENOENT,"),
        replaced("selectors%20n=3", "reg%20n=3"),
        replaced("loop%20n=5%20level=1", "loop%20n=5%20level=2"),
        replaced("loop%20n=5%20level=1", "reg%20n=5%20level=1"),
        replaced("ended=1", "ended=2", 1),
        replaced("CLIDR_EL1%20value=0xa200023", "CLIDR_EL1%20value=0x8200023"),
        replaced("CLIDR_EL1%20value=0xa200023", "CLIDR_EL1%20value=0x9200023"),
        replaced("end=off", "end=given-back", 1),
        replaced("end=given-back", "end=off"),
        replaced("what=init errno=EINVAL", "what=init"),
        replaced("value=0x8444c004", "value=0x18444c004"),
        lambda lines: [line for line in lines if line[0] != "value"],
        lambda lines: _bent(lines, 0, "value=0x2"),
        lambda lines: _bent(lines, 0, "value=0x1"),
        lambda lines: _without_last_words(lines, 2),
        lambda lines: _without_last_words(lines, 1),
        inserted(5, "value n=1 vcpu=0 value=0x0"),
    ],
)
def test_forged_streams_are_refused(edit):
    seen(WITH)
    with pytest.raises(ProbeError):
        seen(WITH, edit)


def _values(lines):
    return [index for index, line in enumerate(lines) if line[0] == "value"]


def _bent(lines, word: int, value: str):
    lines[_values(lines)[word]][-1] = value
    return lines


def _without_last_words(lines, count: int):
    gone = _values(lines)[-count:]
    return [line for index, line in enumerate(lines) if index not in gone]


@pytest.mark.parametrize(
    "edit",
    [
        replaced("what=init errno=EINVAL", "what=init"),
        lambda lines: [*lines[:-1], ["value", "n=1", "vcpu=0", "value=0x0"], lines[-1]],
    ],
)
def test_a_vcpu_that_cannot_be_says_nothing(edit):
    seen(WITHOUT)
    with pytest.raises(ProbeError):
        seen(WITHOUT, edit)


def test_why_there_is_no_aarch32_is_kept():
    *_, view = seen(WITHOUT)
    assert view.readings == {names.INIT: Reading(problem="EINVAL")}
