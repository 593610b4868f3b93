"""VMs with MTE and with EL2 on a real kernel that has both: the steps, and guests that are entered at EL2."""

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import ProbeError
from ccsight.evidence.views import Vantage
from ccsight.kernels.spec import resolve
from ccsight.kvm.gifts import EL2, GIFTS, MTE
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine
from ccsight.probes import build, features
from ccsight.probes.runner import placed
from ccsight.probes.script import HAS_EL2, Script

pytestmark = pytest.mark.emulated

ON = 1 | 1 << 9


@pytest.fixture(scope="module")
def probe(tmp_path_factory):
    """The probe on a machine that has MTE and nested virtualization."""
    kernel = resolve("deb:7.3", Deadline(600), print)
    console = tmp_path_factory.mktemp("given") / "console.log"
    with machine("emulated:max,mode=nested,mte=on").boot(
        BootOrder(kernel, console), Deadline(120), print
    ) as booted:
        with placed(booted.host, build.built(Deadline(120)), Deadline(60), lambda name, raw: None) as placed_:
            yield placed_


def with_el2(vcpus, guest):
    script = Script()
    script.vm(vcpus)
    for vcpu in range(vcpus):
        script.init(vcpu, off=vcpu > 0, features=HAS_EL2)
    script.gic()
    script.load(guest)
    script.start(0)
    return script


def test_all_that_can_be_given_is_given_and_looked_at(probe):
    found = features.observe(probe, 1, Deadline(120))
    assert [each.phase for each in found.lists] == [gift.phase for gift in GIFTS]
    seen = {(view.phase, view.vantage): view.value("CLIDR_EL1") for view in found.views}
    for gift in GIFTS:
        clidr = 0x401000004 if MTE in gift.takes else 0x1000004
        vantages = [Vantage.USERSPACE, Vantage.GUEST, *[Vantage.GUEST_EL2] * gift.has_el2]
        assert {seen[gift.phase, vantage] for vantage in vantages} == {clidr}, gift.says


def test_what_kvm_does_not_have_it_says_and_refuses(probe):
    script = Script()
    script.vm(0)
    mte, never = script.check(MTE.number), script.check(60000)
    refused, given = script.give(60000), script.give(MTE.number)
    script.late_vcpu()
    late = script.give(MTE.number)
    found = probe.script("caps", script, Deadline(60))
    assert [found[step].says.value for step in (mte, never)] == [1, 0]
    assert [found[step].problem for step in (refused, given, late)] == ["EINVAL", "", "EINVAL"]


def test_kvm_runs_no_vcpu_with_el2_without_an_interrupt_controller(probe):
    script = Script()
    script.vm(1)
    script.init(0, features=EL2.feature)
    script.load("sweep")
    script.start(0)
    script.run(0)
    with pytest.raises(ProbeError) as caught:
        probe.script("no-gic", script, Deadline(60))
    assert "KVM_RUN vcpu=0 errno=EAGAIN" in caught.value.evidence


def test_a_guest_that_is_entered_at_el2_turns_cpus_on(probe):
    script = with_el2(2, "life")
    first, second, again = script.run(0, ON), script.run(1), script.run(0)
    found = probe.script("el2-life", script, Deadline(60))
    assert [line.values for line in found[first].said] == [{"on": "1", "said": "0x0"}]
    assert found[first].el1 == found[second].el1 == found[again].el1
    assert found[second].end == "given-back"


def test_a_guest_that_is_entered_at_el2_turns_off(probe):
    script = with_el2(1, "selectors")
    ran = script.run(0)
    assert probe.script("el2-off", script, Deadline(60))[ran].end == "off"
