"""Scripts on real kernels: what each step does, and what becomes of one that cannot be done."""

import time

import pytest

from ccsight.arm64.kvm_ids import of_reading
from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.views import Reading
from ccsight.kernels.spec import resolve
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine
from ccsight.probes import build
from ccsight.probes.runner import placed
from ccsight.probes.script import Script

pytestmark = pytest.mark.emulated

CLIDR = of_reading("CLIDR_EL1")
ON, OFF, RESET = 1 | 1 << 9, 2, 3


@pytest.fixture(scope="module", params=["6.1", "6.12"])
def host(request, tmp_path_factory):
    """A booted machine, its kernel's series, and the probe on it."""
    kernel = resolve(f"deb:{request.param}", Deadline(600), print)
    console = tmp_path_factory.mktemp("script") / "console.log"
    with machine("emulated:neoverse-n1").boot(BootOrder(kernel, console), Deadline(120), print) as booted:
        with placed(booted.host, build.built(Deadline(120)), Deadline(60), lambda name, raw: None) as probe:
            yield request.param, probe


def test_a_vcpu_from_its_making_to_its_guest(host):
    _, probe = host
    script = Script()
    script.pin(1)
    script.vm(1)
    early, unborn = script.get(0), script.list(0)
    init = script.init(0)
    told, listed = script.get(0), script.list(0)
    script.load("sweep")
    script.start(0)
    first, second = script.run(0), script.run(0)
    wide = script.get_id(0, 0x6040000000100054)
    script.unpin()
    found = probe.script("vcpu", script, Deadline(60))
    assert {reading.problem for reading in found[early].readings.values()} == {"ENOEXEC"}
    assert (found[unborn].problem, found[init].problem, found[listed].problem) == ("ENOEXEC", "", "")
    assert CLIDR in found[listed].ids
    assert (found[first].end, found[first].el1) == ("given-back", found[second].el1)
    assert found[first].el1["CLIDR_EL1"] == found[told].readings["CLIDR_EL1"]
    assert found[wide].reading.value is not None  # V0 has 16 bytes


def test_writes(host):
    series, probe = host
    script = Script()
    script.vm(2)
    script.init(0)
    script.init(1)
    told = script.get(0)
    other = script.set(1, CLIDR, 0x0C200923)
    nowhere = script.set_bad_pointer(0, CLIDR)
    odd = script.set(0, CLIDR ^ 1 << 52, 5)
    found = probe.script("writes", script, Deadline(60))
    own = found[told].readings["CLIDR_EL1"]
    taken = Reading(value=0x0C200923) if series == "6.12" else own
    assert (found[other].problem, found[other].after) == ("" if series == "6.12" else "EINVAL", taken)
    assert (found[nowhere].problem, found[nowhere].after) == ("EFAULT", own)
    assert (found[odd].problem, found[odd].after.problem) == ("ENOENT", "ENOENT")
    assert [found[step].moved for step in (other, nowhere, odd)] == [{}, {}, {}]


def test_vcpus_turn_each_other_on_without_threads(host):
    _, probe = host
    script = Script()
    script.vm(2)
    script.init(0)
    script.init(1, off=True)
    script.load("life")
    script.start(0)
    steps = [script.run(1), script.run(0, ON), script.run(1), script.run(1, OFF), script.run(1)]
    steps += [script.run(0, ON), script.run(1), script.run(0, RESET), script.run(0)]
    found = probe.script("on", script, Deadline(60))
    assert [found[step].end for step in steps] == [
        *("parked", "given-back", "given-back", "parked", "parked"),
        *("given-back", "given-back", "reset", "parked"),
    ]
    assert [line.values for line in found[steps[1]].said] == [{"on": "1", "said": "0x0"}]


def test_thousands_of_writes_are_a_matter_of_seconds(host):
    _, probe = host
    script = Script()
    script.vm(1)
    script.init(0)
    steps = [script.set(0, of_reading(f"CCSIDR_EL1[{n % 14}]"), 0x700FE01A ^ n) for n in range(3000)]
    start = time.monotonic()
    found = probe.script("many", script, Deadline(60))
    assert time.monotonic() - start < 10
    assert len({found[step].after for step in steps}) > 2


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        (lambda script: script.get(0), "impossible-step step=1"),
        (lambda script: (script.vm(1), script.get(1)), "impossible-step step=2"),
        (lambda script: script.vm(9), "impossible-step step=1"),
        (lambda script: (script.vm(1), script.vm(1)), "impossible-step step=2"),
        (lambda script: script.get(9), "malformed-step step=1"),
        (lambda script: (script.vm(1), script.load("nothing")), "read-image errno=ENOENT"),
        (lambda script: script.pin(1000), "pin-to-cpu cpu=1000 errno=EINVAL"),
    ],
)
def test_what_cannot_be_done_ends_the_script(host, steps, said):
    _, probe = host
    script = Script()
    steps(script)
    with pytest.raises(ProbeError) as caught:
        probe.script("wrong", script, Deadline(60))
    assert said in caught.value.evidence


def test_nothing_is_left_on_the_host(host):
    _, probe = host
    left = probe.host.run(["ls", probe.place], Deadline(20)).text.split()
    assert set(left) == {"script", *probe.programs}
