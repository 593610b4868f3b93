"""The patches of suites/rollback on real boots: what they mend of a roll-back to 6.1, and what they leave."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from ccsight.arm64.kvm_ids import name
from ccsight.deadline import Deadline
from ccsight.evidence.migrations import AS_LAUNCHED, NATIVE_CAP, Restored, Saved, Way
from ccsight.evidence.views import Cell, Vantage
from ccsight.kernels.spec import resolve
from ccsight.kvm.vmms import lost
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine
from ccsight.probes import build, restoring, saving
from ccsight.probes.restoring import Target
from ccsight.probes.runner import placed
from ccsight.probes.saving import Launch
from ccsight.probes.vms import Capability

pytestmark = [pytest.mark.emulated, pytest.mark.long]

PATCHES = Path(__file__).parents[2] / "rollback"
#: With FEAT_CCIDX, the one on which most is left.
MACHINE = "emulated:neoverse-v1"
#: 6.1 does not know debug features this new.
NOT_CACHES = {"ID_AA64DFR0_EL1"}
NEW_TO_6_1 = {"TCR2_EL1", "PIR_EL1", "PIRE0_EL1", "CNTP_CTL_EL0", "CNTP_CVAL_EL0"} | {
    f"CCSIDR_EL1[{selector}]" for selector in range(3, 14)
}


@dataclass(frozen=True)
class Variant:
    """A patch, the capability as it has it, and the registers that 6.1 does not take of its VM."""

    patch: str
    capability: Capability
    left: set[str]

    @property
    def kernel(self) -> str:
        return f"deb-src:6.12,patch={str(PATCHES / self.patch).replace(',', ',,')}"


VARIANTS = (
    Variant(
        "native-cache-1.patch",
        Capability(1000, each_vcpu=True),
        NOT_CACHES | NEW_TO_6_1 | {"ID_MMFR4_EL1", "ID_AA64MMFR2_EL1"},
    ),
    Variant("native-cache-2.patch", Capability(1000), NOT_CACHES),
)


@pytest.fixture(scope="module", params=VARIANTS, ids=lambda variant: variant.patch)
def moved(request, tmp_path_factory):
    """Return a variant, what was saved on 6.1 and with the capability, and the latter restored on 6.1."""
    folder = tmp_path_factory.mktemp("native")

    def at(kernel, todo):
        deadline = Deadline(3600)
        found = resolve(kernel, deadline, print)
        with machine(MACHINE).boot(BootOrder(found, folder / "console.log"), deadline, print) as booted:
            keep = lambda file, content: (folder / file).write_bytes(content)  # noqa: E731
            with placed(booted.host, build.built(deadline), deadline, keep) as probe:
                return todo(probe, deadline)

    variant = request.param
    asked = Launch(NATIVE_CAP, 0, capabilities=(variant.capability,))
    native = at(variant.kernel, lambda probe, deadline: saving.save(probe, asked, deadline))
    source = Cell(machine=MACHINE, kernel=variant.kernel)
    state = restoring.State(source, NATIVE_CAP, native.sha256, folder / native.file)

    def old(probe, deadline):
        saved = saving.save(probe, Launch(AS_LAUNCHED, 0), deadline)
        return saved, *restoring.restore(probe, state, [Target(Way.ALL, 0)], deadline)

    return variant, *at("deb:6.1", old), native


def _guest(saved: Saved, vcpu: int) -> dict[str, int | None]:
    (view,) = (v for v in saved.views if (v.vantage, v.vcpu) == (Vantage.GUEST, vcpu))
    return {register: reading.value for register, reading in view.readings.items()}


def _names(restored: Restored) -> set[str]:
    return {name(left.kvm_id) for left in lost(restored)}


def test_it_is_given_to_all_vcpus(moved):
    *_, native = moved
    assert [given.problem for given in native.given] == [""] * len(native.given) != []


@pytest.mark.parametrize("vcpu", [0, 1])
def test_a_guest_reads_the_caches_that_6_1_shows(moved, vcpu):
    variant, old, _, native = moved
    before, now = _guest(old, vcpu), _guest(native, vcpu)
    assert now["CLIDR_EL1"] == before["CLIDR_EL1"] == 0x82000023
    if variant.patch == "native-cache-2.patch":
        assert now == before
        assert now["CCSIDR_EL1[0]"] == 0xFF0000001A
    else:
        assert now["CCSIDR_EL1[0]"] == before["CCSIDR_EL1[0]"] & 0xFFFFFFFF


def test_what_6_1_does_not_take(moved):
    variant, _, restored, _ = moved
    assert _names(restored) == variant.left
