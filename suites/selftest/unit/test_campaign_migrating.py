"""On which CPU a VM is made, and whose values it is given, on a host with several kinds of core."""

from types import SimpleNamespace

from msgspec.structs import replace
from recorded import capture

from ccsight.campaign.migrating import kinds
from ccsight.evidence.migrations import AS_LAUNCHED, PROFILED, SAVED
from ccsight.evidence.model import Cpu
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Reading, Vantage
from ccsight.kvm.chosen import chosen, shown_to

A55, A76 = (Cpu(midr=Hex(midr), revidr=Hex(0)) for midr in (0x412FD050, 0x414FD0B0))


def test_the_core_that_is_meant_leads():
    host = SimpleNamespace(cpus=(A55, A55, A76, A76))
    assert kinds(host) == (0, 2)
    assert kinds(host, A76.midr) == (2, 0)
    assert kinds(host, A55.midr) == kinds(host, 0x410FD4F1) == (0, 2)


def test_the_old_values_are_those_of_the_pinned_vm():
    """Up to v6.2 a VM that is pinned to no CPU reads those of any one: here it ran on another kind."""
    old = capture("neoverse-n1", "6.1")
    elsewhere = {"CCSIDR_EL1[0]": Reading(value=Hex(0x700FE01A))}
    launched = [
        replace(view, readings=view.readings | elsewhere) if view.vantage is Vantage.USERSPACE else view
        for view in old.views
    ]
    assert chosen(launched)["CCSIDR_EL1[0]"] == 0x700FE01A
    assert shown_to(old.saved)["CCSIDR_EL1[0]"] == 0x701FE01A
    plain = next(state for state in old.saved if state.strategy == AS_LAUNCHED)
    assert shown_to(old.saved) == chosen(plain.views, SAVED) == chosen(old.views)
    assert shown_to([replace(plain, strategy=PROFILED)]) == {}
