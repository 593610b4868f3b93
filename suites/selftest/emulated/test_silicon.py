"""Machines of the silicon table on real kernels: published dumps come back, and the failure of unlike CPUs.

One run has them all: what each row says on its own base, and on one whose own values are others.
"""

import dataclasses
import json

import pytest
from command import Said, ccsight

from ccsight.deadline import Deadline
from ccsight.evidence.model import Capture
from ccsight.evidence.record import from_json
from ccsight.evidence.run import find_run
from ccsight.evidence.views import CARRIED, MOVED, PINNED, Vantage
from ccsight.machines.overrides import Met
from ccsight.store import locked

pytestmark = pytest.mark.emulated

OLD, NEW = "deb:6.1", "deb:6.12"

#: KVM_GET_ONE_REG on Linux up to 6.2, as published of instances: CTR, CLIDR, and CCSIDR by selector.
PUBLISHED = {
    "graviton2": (0xB444C004, 0x82000023, {0: 0x701FE01A, 1: 0x201FE01A, 2: 0x70FFE03A}),
    "graviton3": (0xB444C004, 0x82000023, {0: 0x1A, 1: 0x1A, 2: 0x3A}),
    "graviton4": (0xB444C004, 0x82000023, {0: 0x1A, 1: 0x1A, 2: 0x3A}),
}
#: A base whose own values differ from the row's, so that none of them comes from QEMU's model.
ELSEWHERE = {
    "silicon:graviton2,base=cortex-a76": "graviton2",
    "silicon:graviton3,base=neoverse-n2": "graviton3",
    "silicon:graviton4,base=neoverse-n2": "graviton4",
}
SERVERS = {f"silicon:{name}": name for name in PUBLISHED} | ELSEWHERE
#: The same bases without the plugin: what the tests below must tell from the rows.
PLAIN = ("emulated:cortex-a76", "emulated:neoverse-n2")
UNLIKE = ("silicon:rk3588", "silicon:apple-m2")
MACHINES = tuple(dict.fromkeys((*SERVERS, *UNLIKE, *PLAIN)))


@pytest.fixture(scope="module")
def run(tmp_path_factory, request):
    """Compare the two kernels on all the machines, once, however many workers there are."""
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if hasattr(request.config, "workerinput") else base) / "silicon"
    with locked(shared, Deadline(600)):
        if not shared.is_dir():
            shared.mkdir()
            on = [word for machine in MACHINES for word in ("--on", machine)]
            said = ccsight("compare", OLD, NEW, *on, "--json", cwd=shared, seconds=600)
            (shared / "said.json").write_text(json.dumps(dataclasses.asdict(said)))
    said = Said(**json.loads((shared / "said.json").read_text()))
    assert said.code == 0, said.stderr
    return find_run(shared / "results")


@pytest.fixture
def capture(run):
    def found(machine: str, kernel: str) -> Capture:
        seen = run.capture(run.plan.cell(machine, kernel))
        assert seen is not None
        return seen

    return found


def equals_the_dump(seen: Capture, row: str) -> None:
    """Assert that userspace is shown, and the guest reads, what was published of a row, value for value."""
    ctr, clidr, sizes = PUBLISHED[row]
    for vcpu in seen.vcpus():
        userspace, guest = (seen.view(vantage, vcpu) for vantage in (Vantage.USERSPACE, Vantage.GUEST))
        assert userspace.value("CTR_EL0") == guest.value("CTR_EL0") == ctr
        assert userspace.value("CLIDR_EL1") == guest.value("CLIDR_EL1") == clidr
        told = {selector: userspace.value(f"CCSIDR_EL1[{selector}]") for selector in range(14)}
        assert {selector: value for selector, value in told.items() if value is not None} == sizes
        for selector, value in sizes.items():
            assert guest.value(f"CCSIDR_EL1[{selector}]") & 0xFFFF_FFFF == value


def every_register_was_overridden(seen: Capture) -> None:
    """Assert that each value of the table was read, on each CPU."""
    assert len(seen.machine.declared) == len(seen.machine.cpus)
    for declared in seen.machine.declared:
        # CCSIDR2_EL1 is for AArch32, and QEMU has none on these models: an UNDEFINED read is none
        unread = [name for name, hits in declared.hits.items() if not hits and "CCSIDR2" not in name]
        assert not unread, f"CPU {declared.cpu}"


@pytest.mark.parametrize("machine", SERVERS)
def test_the_old_kernel_shows_what_was_published(capture, machine):
    equals_the_dump(capture(machine, OLD), SERVERS[machine])


@pytest.mark.parametrize("machine", SERVERS)
def test_every_register_of_the_row_was_read_and_overridden(capture, machine):
    every_register_was_overridden(capture(machine, OLD))


@pytest.mark.parametrize("kernel", [OLD, NEW])
@pytest.mark.parametrize("machine", [*SERVERS, *UNLIKE])
def test_no_read_was_lost_until_the_end(run, machine, kernel):
    paper = run.boot_folder(run.plan.cell(machine, kernel)) / "silicon.json"
    met = from_json(paper.read_bytes(), Met)
    assert (met.strays, len(met.sites)) == (0, met.sites_met)


@pytest.mark.parametrize("machine", ELSEWHERE)
def test_the_dump_does_not_come_from_the_model_itself(capture, machine):
    plain = capture(f"emulated:{machine.partition('base=')[2]}", OLD)
    with pytest.raises(AssertionError):
        equals_the_dump(plain, SERVERS[machine])
    with pytest.raises(AssertionError):
        every_register_was_overridden(plain)


@pytest.mark.parametrize("machine", SERVERS)
def test_the_host_finds_the_core_that_the_row_names(capture, machine):
    parts = {"graviton2": 0x413FD0C1, "graviton3": 0x411FD401, "graviton4": 0x410FD4F1}
    assert {cpu.midr for cpu in capture(machine, OLD).machine.cpus} == {parts[SERVERS[machine]]}


def test_ccidx_is_the_row_s(capture):
    for machine, row in SERVERS.items():
        for vcpu in (0, 1):
            value = capture(machine, OLD).view(Vantage.USERSPACE, vcpu).value("ID_AA64MMFR2_EL1")
            assert value >> 20 & 0xF == (row != "graviton2"), machine


def test_unlike_cpus_have_their_own_midr(capture):
    midrs = [cpu.midr for cpu in capture("silicon:rk3588", OLD).machine.cpus]
    assert midrs == [0x412FD050, 0x412FD050, 0x414FD0B0, 0x414FD0B0]


@pytest.mark.parametrize("machine", UNLIKE)
def test_the_old_kernel_refuses_what_another_cluster_gave(capture, machine):
    """QEMU's "failed to boot CPU1" (QEMU issue 1595): CCSIDRs read on one cluster are set on another."""
    carried = [write for write in capture(machine, OLD).writes if write.phase == CARRIED]
    refused = {(write.origin, write.cpu, write.name) for write in carried if write.problem == "EINVAL"}
    for selector in range(3):
        assert (0, 2, f"CCSIDR_EL1[{selector}]") in refused
        assert (2, 0, f"CCSIDR_EL1[{selector}]") in refused


@pytest.mark.parametrize("machine", UNLIKE)
def test_the_new_kernel_takes_it_and_shows_the_same_everywhere(capture, machine):
    seen = capture(machine, NEW)
    carried = [write for write in seen.writes if write.phase == CARRIED]
    assert carried
    assert not [write for write in carried if write.problem]
    for vantage in (Vantage.USERSPACE, Vantage.GUEST, Vantage.GUEST_EL0):
        views = [view for view in seen.views if view.vantage is vantage and view.phase in (PINNED, MOVED)]
        assert {view.cpu for view in views} == {0, 1, 2, 3}
        assert len({tuple(view.readings.items()) for view in views}) == 1


def test_the_old_kernel_s_guest_reads_the_cpu_it_runs_on(capture):
    seen = capture("silicon:apple-m2", OLD)
    guest = {
        view.cpu: view.value("CCSIDR_EL1[0]")
        for view in seen.views
        if view.vantage is Vantage.GUEST and view.phase == PINNED
    }
    assert guest == {0: 0x700FE03A, 1: 0x700FE03A, 2: 0x701FE03A, 3: 0x701FE03A}


def test_the_field_failure_is_named(run):
    page = ccsight("show", str(run.folder), cwd=run.folder)
    assert page.code == 0
    assert "failed to boot CPU1" in page.stdout
