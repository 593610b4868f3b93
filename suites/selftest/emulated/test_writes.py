"""Writes to KVM's cache registers on real kernels: what CR-005 finds there, and what it takes to find it."""

from contextlib import ExitStack

import pytest
from command import ccsight

from ccsight.arm64.kvm_ids import of_reading
from ccsight.arm64.registers import CLIDR_EL1
from ccsight.deadline import Deadline
from ccsight.evidence.run import find_run
from ccsight.evidence.views import FUZZED, PINNED, Vantage
from ccsight.kernels import spec
from ccsight.kvm.behaviour import observed
from ccsight.kvm.written import written
from ccsight.machines import registry, silicon
from ccsight.machines.model import BootOrder
from ccsight.probes import build, fuzz
from ccsight.probes.runner import placed
from ccsight.probes.script import Script

pytestmark = pytest.mark.emulated

KERNELS = ("deb:6.1", "deb:6.12")
#: Without IDC; with it; and CPUs of two kinds, of which each takes its own sizes only, up to Linux 6.2.
MACHINES = ("emulated:cortex-a57", "emulated:neoverse-n1", "silicon:rk3588")
MOST_BYTES = 2_000_000


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("writes")
    on = [word for machine in MACHINES for word in ("--on", machine)]
    said = ccsight("compare", *KERNELS, *on, "--json", cwd=folder, seconds=600)
    assert said.code in (0, 1), said.stderr  # other laws are other tests' business
    return find_run(folder / "results"), said.json


def test_every_answer_is_the_models(run):
    found, document = run
    for entry in document["machines"]:
        laws = [case for case in entry["laws"] if case["check"] == "CR-005"]
        assert [case["status"] for case in laws] == ["PASS", "PASS"], laws
    for cell in found.plan.cells:
        seen = found.capture(cell)
        host, behaviour = written(seen), observed(seen)
        assert len(host.writes) > 1000
        assert [write for write in host.writes if not behaviour.takes(host, write)] == []
        first, other = sorted({write.cpu for write in host.writes})
        assert first == 0
        assert other >= len(seen.machine.cpus) // 2


def test_the_boot_id_gives_the_random_values_again(run):
    found, _ = run
    for cell in found.plan.cells:
        seen = found.capture(cell)
        pinned = {
            view.cpu: view for view in seen.views if (view.vantage, view.phase) == (Vantage.USERSPACE, PINNED)
        }
        again = fuzz.trial(pinned, seen.machine.boot_id).attempts
        made = [(write.vcpu, write.name, write.value) for write in seen.writes if write.phase == FUZZED]
        wanted = []
        for attempt in again:
            wanted.append((attempt.vcpu, attempt.name, attempt.value))
            if attempt.back not in (None, attempt.value):
                wanted.append((attempt.vcpu, attempt.name, attempt.back))
        assert made == wanted


def test_the_evidence_is_small(run):
    found, _ = run
    for cell in found.plan.cells:
        folder = found.boot_folder(cell)
        files = [folder / "capture.json", *folder.glob("*.stream")]
        assert sum(file.stat().st_size for file in files) < MOST_BYTES


def test_a_value_that_is_refused_is_shrunk_on_the_machine(tmp_path):
    """cortex-a57 has no IDC, so KVM refuses CLIDR_EL1 without LoC: whatever else is changed with it."""
    deadline = Deadline(180)
    kernel = spec.resolve("deb:6.12", deadline, lambda said: None)
    machine = registry.machine("emulated:cortex-a57", silicon.table(""))
    with ExitStack() as held:
        console = tmp_path / "console"
        booted = held.enter_context(machine.boot(BootOrder(kernel, console), deadline, lambda stage: None))
        programs = build.built(deadline)
        probe = held.enter_context(placed(booted.host, programs, deadline, lambda name, raw: None))
        base = probe.observe(deadline).views[0].value("CLIDR_EL1")

        def refused(values):
            script = Script()
            script.vm(1)
            script.init(0)
            steps = [script.set(0, of_reading("CLIDR_EL1"), value) for value in values]
            found = probe.script("shrink", script, deadline)
            return [found[step].problem == "EINVAL" for step in steps]

        bad = (base | 0x7E00_0024_0000_0124) & ~CLIDR_EL1.field("LoC").mask
        bad &= (1 << 47) - 1
        assert refused([bad, base]) == [True, False]
        assert fuzz.shrunk(bad, base, refused) ^ base == 1 << CLIDR_EL1.field("LoC").lo
