"""From streams of the sweep to evidence: every CPU, every register, every write, or nothing."""

import time
from itertools import permutations

import pytest
from streams import CELLS, edited, inserted, recorded, replaced, without

from ccsight.errors import NoKvm, ProbeError
from ccsight.evidence.views import CARRIED, MOVED, PINNED, Reading, Vantage
from ccsight.probes.stream import LINES_MAX, parse
from ccsight.probes.sweep import round_readings, swept
from ccsight.probes.views import READINGS, READINGS_EL0, observed

VANTAGES = [Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0]
#: Where the first visit and the first write stand in the recorded streams, which are of two CPUs.
VISIT, SET = 2, 42


def seen(cell: str, edit=lambda lines: lines):
    return swept(parse(edited(recorded(cell, "sweep"), edit), "test"))


@pytest.mark.parametrize("cell", CELLS)
def test_sweeps_are_complete_and_in_order(cell):
    found = seen(cell)
    visits = [(PINNED, 0), (PINNED, 1), (MOVED, 0), (MOVED, 1), (MOVED, 0)]
    assert [(view.phase, view.cpu, view.vantage) for view in found.views] == [
        (phase, cpu, vantage) for phase, cpu in visits for vantage in VANTAGES
    ]
    assert {(view.program, view.vcpu) for view in found.views} == {("sweep", 0)}
    for view in found.views:
        expected = READINGS_EL0 if view.vantage is Vantage.GUEST_EL0 else READINGS
        assert tuple(view.readings) == expected


@pytest.mark.parametrize("cell", CELLS)
def test_like_cpus_show_what_the_launch_has_shown(cell):
    launch = {view.vantage: view.readings for view in observed(parse(recorded(cell, "view"), "test")).views}
    assert all(view.readings == launch[view.vantage] for view in seen(cell).views)


@pytest.mark.parametrize("cell", CELLS)
def test_all_that_could_be_read_is_carried_both_ways(cell):
    found = seen(cell)
    readable = [(name, r.value) for name, r in found.views[0].readings.items() if r.value is not None]
    assert [(write.origin, write.cpu, write.name, write.value) for write in found.writes] == [
        (origin, cpu, *pair) for origin, cpu in ((0, 1), (1, 0)) for pair in readable
    ]
    assert {(write.program, write.phase, write.vcpu) for write in found.writes} == {("sweep", CARRIED, 0)}
    assert all(write.after == Reading(value=write.value) and not write.problem for write in found.writes)


def test_a_refused_write_says_why_and_what_is_there_instead():
    def refuse(lines):
        lines[SET][-1:] = ["errno=EINVAL", "after=0x8444c004"]
        lines[SET + 1][-1] = "after=ENOENT"
        return lines

    first, second, *_ = seen("neoverse-n1-6.1", refuse).writes
    assert (first.problem, first.after.value) == ("EINVAL", 0x8444C004)
    assert (second.problem, second.after.problem) == ("", "ENOENT")


def test_clusters_refuse_what_was_read_on_the_other_one():
    """An RK3588's two kinds of cores, under a kernel that shows each CPU's own: QEMU issue 1595."""
    found = seen("rk3588-6.1")
    pinned = [view for view in found.views if (view.phase, view.vantage) == (PINNED, Vantage.USERSPACE)]
    sizes = {view.cpu: view.value("CCSIDR_EL1[0]") for view in pinned}
    assert sizes == {0: 0x700FE01A, 1: 0x700FE01A, 2: 0x701FE01A, 3: 0x701FE01A}
    refused = [(write.origin, write.cpu, write.name) for write in found.writes if write.problem]
    names = [f"CCSIDR_EL1[{selector}]" for selector in range(3)]
    assert refused == [(origin, cpu, name) for origin, cpu in ((0, 2), (2, 0)) for name in names]


def test_an_exception_in_the_guest_is_a_problem_of_that_register():
    found = seen("cortex-a57-6.12", replaced("20values=0x8444c004,", "20values=!0x2000000,"))
    assert found.views[1].readings["CTR_EL0"].problem == "UNDEF"
    assert found.views[1].value("CLIDR_EL1") is not None


@pytest.mark.parametrize("cell", CELLS)
def test_any_line_missing_is_refused(cell):
    """Also when the thief has put the numbers right."""
    raw = recorded(cell, "sweep")
    for index in range(len(raw.splitlines()) - 2):
        with pytest.raises(ProbeError):
            swept(parse(edited(raw, without(index)), "test"))


@pytest.mark.parametrize(
    "edit",
    [
        inserted(0, "kvm n=1 api=12"),
        inserted(2, "cpus n=1 count=2"),
        inserted(2, "guest n=1 vcpu=0 line=x"),
        inserted(2, "surprise n=1"),
        inserted(SET, "guest n=1 vcpu=0 line=x"),
        inserted(SET + 1, "visit n=1 phase=moved cpu=0 values=0x0"),
        lambda lines: [lines[1], lines[0], *lines[2:]],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [*lines[:SET], lines[SET + 1], lines[SET], *lines[SET + 2 :]],
        lambda lines: [*lines[:2], *lines[10:18], *lines[2:10], *lines[18:]],
        lambda lines: [*lines[:SET], *lines[VISIT:SET], *lines[SET:]],
        replaced("count=2", "count=0"),
        replaced("count=2", "count=1"),
        replaced("count=2", "count=3"),
        replaced("count=2", "count=4 of=4"),
        replaced("phase=pinned cpu=1", "phase=pinned cpu=0"),
        replaced("phase=moved cpu=1", "phase=moved cpu=2"),
        replaced("phase=moved cpu=0", "phase=pinned cpu=0", 1),
        replaced("phase=moved", "phase=carried", 1),
        replaced("guest n=4 vcpu=0", "guest n=4 vcpu=1"),
        replaced("guest n=4 vcpu=0", "guest n=4"),
        replaced("line=@begin", "line=%0A@begin", 1),
        replaced("sweep", "view", 1),
        replaced("mpidr=0x80000000", "mpidr=0x80000001", 1),
        replaced("20el=0", "20el=2", 1),
        replaced("20el=0", "20el=1", 1),
        replaced("20at=6", "20at=5", 1),
        replaced("20at=6%20", "20", 1),
        replaced("values=0x8444c004", "values=", 1),
        replaced("values=0x8444c004,", "values=0x8444c004,0x0,", 1),
        replaced("20values=0x8444c004,", "20values=ENOENT,", 1),
        replaced("20values=0x8444c004,", "20values=!EPERM,", 1),
        replaced("values=0x8444c004,", "values=!0x2000000,", 1),
        replaced("20values=0x8444c004,", "20values=0x8444c004,0x0,", 1),
        replaced(",ENOENT", ",", 1),
        replaced(",ENOENT", ",Enoent", 1),
        replaced(",ENOENT", "", 1),
        replaced(",ENOENT", ",0x0", 1),
        replaced("origin=0 cpu=1", "origin=0 cpu=0", 1),
        replaced("name=CLIDR_EL1", "name=CTR_EL0"),
        replaced("value=0x", "value=0x1", 1),
        replaced("after=0x", "errno=0 after=0x", 1),
        replaced("after=", "before=", 1),
        replaced("after=0x", "after=0x0 after=0x", 1),
        replaced("set n=43", "error n=43"),
    ],
)
def test_forged_sweeps_are_refused(edit):
    seen("cortex-a57-6.1")
    with pytest.raises(ProbeError):
        seen("cortex-a57-6.1", edit)


def test_no_kvm_is_said_so():
    with pytest.raises(NoKvm):
        swept(parse(b"@begin ccsight 1 ccprobe-sweep\nkvm n=1 errno=ENOENT\n@end 1\n", "test"))


def test_too_many_cpus_are_an_error():
    raw = b"@begin ccsight 1 ccprobe-sweep\nkvm n=1 api=12\nerror n=2 what=too-many-cpus count=288\n@end 2\n"
    with pytest.raises(ProbeError) as caught:
        swept(parse(raw, "test"))
    assert "too-many-cpus count=288" in caught.value.evidence


def test_a_guest_that_qemu_runs_sends_one_round():
    el1, el0 = round_readings(parse(recorded("bare", "sweep"), "QEMU"))
    assert el1["CLIDR_EL1"].value == 0x0A200023
    assert el0["CTR_EL0"].value == 0x8444C004


def made(cpus: int, kinds: int) -> bytes:
    """Return the stream of a machine with any CPUs, on which userspace reads as many kinds of registers."""
    _begin, *lines, _end = recorded("cortex-a57-6.12", "sweep").decode().splitlines()
    guest = lines[VISIT + 1 : VISIT + 8]
    values = [[f"{cpu % kinds:#x}"] * len(READINGS) for cpu in range(cpus)]
    visits = [("pinned", cpu) for cpu in range(cpus)]
    visits += [("moved", cpu) for cpu in (*range(cpus), *([0] if cpus > 1 else []))]
    pairs = list(permutations(range(kinds) if kinds > 1 else (0, cpus - 1), 2)) if cpus > 1 else [(0, 0)]
    body = [lines[0], f"cpus n=0 count={cpus}"]
    for phase, cpu in visits:
        body += [f"visit n=0 phase={phase} cpu={cpu} values={','.join(values[cpu])}", *guest]
    for origin, cpu in pairs:
        for name, value in zip(READINGS, values[origin], strict=True):
            body.append(f"set n=0 origin={origin} cpu={cpu} name={name} value={value} after=ENOENT")
    raw = "\n".join(["@begin ccsight 1 ccprobe-sweep", *body, "@end 0", ""]).encode()
    return edited(raw, lambda split: split)


def test_one_cpu_alone_carries_to_itself():
    found = swept(parse(made(1, 1), "test"))
    assert [(view.phase, view.cpu) for view in found.views[::3]] == [(PINNED, 0), (MOVED, 0)]
    assert {(write.origin, write.cpu) for write in found.writes} == {(0, 0)}


def test_unlike_cpus_carry_to_each_other_kind():
    found = swept(parse(made(6, 3), "test"))
    assert [(write.origin, write.cpu) for write in found.writes[:: len(READINGS)]] == [
        (0, 1),
        (0, 2),
        (1, 0),
        (1, 2),
        (2, 0),
        (2, 1),
    ]


def test_the_bound_on_lines_fits_256_cpus():
    raw = made(256, 8)
    assert 5000 < raw.count(b"\n") - 2 <= LINES_MAX
    start = time.monotonic()
    found = swept(parse(raw, "test"))
    assert time.monotonic() - start < 5
    assert len(found.views) == 3 * (2 * 256 + 1)
    assert len(found.writes) == 8 * 7 * len(READINGS)
