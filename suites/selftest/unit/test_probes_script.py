"""Scripts as text, and their results: each step's own, complete, in its order, or none at all."""

import pytest

from ccsight.arm64.kvm_ids import of_reading
from ccsight.errors import NoKvm, ProbeError
from ccsight.evidence.migrations import Way
from ccsight.evidence.views import Reading
from ccsight.probes.outcome import Did, Got, GotId, Initialised, Listed, Wrote
from ccsight.probes.script import EL1_32BIT, Script, results
from ccsight.probes.stream import parse
from ccsight.probes.views import READINGS

CLIDR = of_reading("CLIDR_EL1")
HEAD = ["kvm n=0 api=12"]
#: What the guest ``sweep`` sends in one round, as lines of a run.
ROUND = [
    "@begin%20ccsight%201%20sweep",
    "vcpu%20n=1%20mpidr=0x80000000",
    "regs%20n=2%20el=1%20at=0%20values=0x1,0x2,0x3,0x4,0x5,0x6",
    "regs%20n=3%20el=1%20at=6%20values=0x7,0x8,0x9,0xa,0xb,0xc",
    "regs%20n=4%20el=1%20at=12%20values=0xd,0xe,0xf,0x10,!0x2000000",
    "regs%20n=5%20el=0%20at=0%20values=0x1",
    "other%20n=6%20key=word",
    "@end%206",
]
SPOKEN = [f"guest n=0 vcpu=0 line={line}" for line in ROUND]


def stream(*lines: str):
    body = [line.replace("n=0", f"n={number}", 1) for number, line in enumerate(lines, 1)]
    raw = "\n".join(["@begin ccsight 1 ccprobe-script", *body, f"@end {len(body)}", ""])
    return parse(raw.encode(), "test")


def one(ask, *lines: str):
    """Return the result of a script of one step, given the lines that were sent of it."""
    script = Script()
    step = ask(script)
    return results(stream(*HEAD, *lines), script)[step]


def test_a_script_is_a_line_for_each_step():
    script = Script()
    script.pin(3)
    script.vm(2)
    script.init(0)
    script.init(1, off=True, features=EL1_32BIT)
    script.load("sweep")
    script.load("life", slot=1)
    script.load("sweep")
    script.start(0)
    script.get(1)
    script.get_id(0, CLIDR)
    script.list(0, slot=1)
    script.set(0, CLIDR, 0x123)
    script.set_bad_pointer(0, CLIDR)
    script.run(0, 0x201)
    script.late_vcpu()
    script.gic(slot=1)
    script.check(213)
    script.give(213, slot=1)
    script.give_vcpu(1, 213, 0x2)
    script.save("a.state")
    script.drop()
    script.restore("a.state", Way.STOP, slot=1)
    script.unpin()
    assert script.images == ("sweep.img", "life.img")
    assert script.text("here/x-").splitlines() == [
        "pin 3",
        "vm 0 2",
        "init 0 0 0x4",
        "init 0 1 0x7",
        "load 0 here/x-sweep.img",
        "load 1 here/x-life.img",
        "load 0 here/x-sweep.img",
        "start 0 0",
        "get 0 1",
        "getid 0 0 0x603000000013c801",
        "list 1 0",
        "set 0 0 0x603000000013c801 0x123",
        "setbad 0 0 0x603000000013c801",
        "run 0 0 0x201",
        "vcpu 0",
        "gic 1",
        "check 0 213",
        "cap 1 213 0x0",
        "vcpucap 0 1 213 0x2",
        "save 0 here/x-a.state",
        "drop 0",
        "restore 1 1 here/x-a.state",
        "unpin",
    ]


@pytest.mark.parametrize(
    ("ask", "lines", "expected"),
    [
        (lambda s: s.vm(1), ["step n=0 step=1 what=vm"], Did()),
        (lambda s: s.init(0), ["step n=0 step=1 what=init"], Initialised("")),
        (lambda s: s.init(0), ["step n=0 step=1 what=init errno=EINVAL"], Initialised("EINVAL")),
        (
            lambda s: s.get_id(0, CLIDR),
            ["step n=0 step=1 what=getid value=0x21"],
            GotId(Reading(value=0x21)),
        ),
        (
            lambda s: s.get_id(0, 1),
            ["step n=0 step=1 what=getid value=ENOENT"],
            GotId(Reading(problem="ENOENT")),
        ),
        (
            lambda s: s.list(1),
            [
                "ids n=0 vcpu=1 at=0 ids=0x1,0x2",
                "ids n=0 vcpu=1 at=2 ids=0x3",
                "step n=0 step=1 what=list count=3",
            ],
            Listed("", (1, 2, 3)),
        ),
        (lambda s: s.list(1), ["step n=0 step=1 what=list errno=ENOEXEC"], Listed("ENOEXEC", ())),
        (
            lambda s: s.set(0, CLIDR, 0x21),
            ["step n=0 step=1 what=set after=0x21"],
            Wrote("", Reading(value=0x21), {}),
        ),
        (
            lambda s: s.set_bad_pointer(0, CLIDR),
            [
                "moved n=0 vcpu=1 name=CTR_EL0 value=ENOENT",
                "step n=0 step=1 what=setbad errno=EFAULT after=0x21",
            ],
            Wrote("EFAULT", Reading(value=0x21), {"vCPU 1 CTR_EL0": Reading(problem="ENOENT")}),
        ),
    ],
)
def test_results(ask, lines, expected):
    assert one(ask, *lines) == expected


def test_all_registers_in_their_order():
    values = ",".join(["0x1", "ENOENT", *(f"{number:#x}" for number in range(2, 17))])
    found = one(lambda s: s.get(0), f"step n=0 step=1 what=get values={values}")
    assert isinstance(found, Got)
    assert tuple(found.readings) == READINGS
    assert found.readings["CLIDR_EL1"].problem == "ENOENT"


def ran(*lines: str, end: str = "given-back"):
    script = Script()
    script.load("sweep")
    step = script.run(0)
    head = "step n=0 step=1 what=load"
    return results(stream(*HEAD, head, *lines, f"step n=0 step=2 what=run end={end}"), script)[step]


def test_what_a_guest_read_and_said():
    found = ran(*SPOKEN[:3], "value n=0 vcpu=0 value=0x5", *SPOKEN[3:])
    assert (found.end, found.values) == ("given-back", (5,))
    assert found.el1["CTR_EL0"].value == 1
    assert found.el1["CCSIDR_EL1[13]"].problem == "UNDEF"
    assert found.el0 == {"CTR_EL0": Reading(value=1)}
    assert [(line.kind, line.values) for line in found.said] == [("other", {"key": "word"})]


@pytest.mark.parametrize("end", ["off", "reset", "parked"])
def test_a_guest_may_say_nothing(end):
    found = ran(end=end)
    assert (found.end, found.el1, found.el0, found.values, found.said) == (end, {}, {}, (), ())


@pytest.mark.parametrize(
    "lines",
    [
        SPOKEN[:-1],
        [*SPOKEN, SPOKEN[0]],
        [*SPOKEN[:4], *SPOKEN[5:]],
        [line.replace("sweep", "life") for line in SPOKEN],
        [line.replace("0x80000000", "0x80000001") for line in SPOKEN],
        [line.replace("vcpu=0", "vcpu=1") for line in SPOKEN],
        ["value n=0 vcpu=1 value=0x5"],
        ["value n=0 vcpu=0 value=ENOENT"],
        ["ids n=0 vcpu=0 at=0 ids=0x1"],
    ],
)
def test_forged_runs_are_refused(lines):
    with pytest.raises(ProbeError):
        ran(*lines)
    with pytest.raises(ProbeError):
        ran(*SPOKEN, end="asleep")


@pytest.mark.parametrize(
    ("ask", "lines"),
    [
        (lambda s: s.vm(1), []),
        (lambda s: s.vm(1), ["step n=0 step=2 what=vm"]),
        (lambda s: s.vm(1), ["step n=0 step=1 what=drop"]),
        (lambda s: s.vm(1), ["step n=0 step=1 what=vm errno=EINVAL"]),
        (lambda s: s.vm(1), ["step n=0 step=1 what=vm", "step n=0 step=2 what=vm"]),
        (lambda s: s.vm(1), ["step n=0 step=1 what=vm", "ids n=0 vcpu=0 at=0 ids=0x1"]),
        (lambda s: s.vm(1), ["guest n=0 vcpu=0 line=x", "step n=0 step=1 what=vm"]),
        (lambda s: s.vm(1), ["error n=0 what=impossible-step step=1"]),
        (lambda s: s.vm(1), ["kvm n=0 api=12", "step n=0 step=1 what=vm"]),
        (lambda s: s.get(0), ["step n=0 step=1 what=get values=0x1,0x2"]),
        (lambda s: s.list(0), ["ids n=0 vcpu=0 at=0 ids=0x1,0x1", "step n=0 step=1 what=list count=2"]),
        (lambda s: s.list(0), ["ids n=0 vcpu=0 at=1 ids=0x1", "step n=0 step=1 what=list count=1"]),
        (lambda s: s.list(0), ["ids n=0 vcpu=1 at=0 ids=0x1", "step n=0 step=1 what=list count=1"]),
        (lambda s: s.list(0), ["ids n=0 vcpu=0 at=0 ids=0x1", "step n=0 step=1 what=list errno=E2BIG"]),
        (lambda s: s.set(0, 1, 1), ["step n=0 step=1 what=set"]),
        (
            lambda s: s.set(0, 1, 1),
            ["moved n=0 vcpu=0 name=X value=0x1", "step n=0 step=1 what=set after=0x1"],
        ),
        (
            lambda s: s.set(0, 1, 1),
            [*["moved n=0 vcpu=0 name=CTR_EL0 value=0x1"] * 2, "step n=0 step=1 what=set after=0x1"],
        ),
    ],
)
def test_forged_results_are_refused(ask, lines):
    with pytest.raises(ProbeError):
        one(ask, *lines)


def test_no_kvm_is_said_so():
    script = Script()
    script.vm(1)
    with pytest.raises(NoKvm):
        results(stream("kvm n=0 errno=ENOENT"), script)
