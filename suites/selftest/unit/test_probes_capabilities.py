"""Capabilities in scripts, and in VMs that move: enabled in the order that KVM wants, told when refused."""

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from saved_state import Saved as SavedState
from test_probes_script import HEAD, one, stream

from ccsight.deadline import Deadline
from ccsight.errors import EvidenceError, ProbeError
from ccsight.evidence.migrations import AS_LAUNCHED, NATIVE_CAP, Given, Way
from ccsight.evidence.record import Hex
from ccsight.evidence.views import Cell
from ccsight.probes import restoring, saving
from ccsight.probes.restoring import Target
from ccsight.probes.saving import Launch
from ccsight.probes.script import Script, results
from ccsight.probes.vms import Capability

OF_VM, OF_VCPU = Capability(1000, argument=0x410FD0B0), Capability(1001, each_vcpu=True)
REFUSED = Given(number=1000, argument=Hex(0x410FD0B0), problem="EINVAL")
DIGEST = hashlib.sha256(SavedState().content()).hexdigest()
TAKEN = tuple(Given(number=1001, argument=Hex(0), vcpu=vcpu) for vcpu in (0, 1))


def guest_says(vcpu: int) -> list[str]:
    """Return the stream of the guest ``remember``, as lines of a run."""
    reads = ["el=1 at=0 values=" + ",".join(f"{value:#x}" for value in range(1, 18)), "el=0 at=0 values=0x1"]
    body = [f"vcpu mpidr=0x8000000{vcpu}"]
    body += [f"{kind} {read}" for kind in ("known", "regs") for read in reads]
    numbered = [line.replace(" ", f" n={number} ", 1) for number, line in enumerate(body, 1)]
    lines = ["@begin ccsight 1 remember", *numbered, f"@end {len(body)}"]
    return [f"guest n=0 vcpu={vcpu} line={line.replace(' ', '%20')}" for line in lines]


def answer(step: int, text: str) -> list[str]:
    """Return what ccprobe sends of a step, on a kernel that has the capability 1001 and not 1000."""
    what, *arguments = text.split()
    result = f"step n=0 step={step} what={what}"
    if what == "cap":
        return [f"{result} errno=EINVAL"]
    if what == "get":
        return [f"{result} values={','.join(['0x1'] * 17)}"]
    if what == "set":
        return [f"{result} after={arguments[3]}"]
    if what == "list":
        return ["ids n=0 vcpu=0 at=0 ids=0x6030000000138000,0x6030000000138001", f"{result} count=2"]
    if what == "run":
        return [*guest_says(int(arguments[1])), f"{result} end=given-back"]
    return [result]


class FakeHost:
    """Takes files, and gives back a saved state whatever is asked for."""

    def push(self, local, remote, deadline, *, mode=0o755):
        """Take it."""

    def fetch(self, remote, deadline, *, limit=0):
        return SavedState().content()


@dataclass
class FakeProbe:
    """Answers scripts without a machine, and keeps the last one."""

    host: FakeHost = field(default_factory=FakeHost)
    steps: list[str] = field(default_factory=list)
    place: str = "here"

    def path(self, name):
        return name

    def keep(self, name, content):
        """Let go of it."""

    def script(self, name, script, deadline):
        self.steps = script.text().splitlines()
        lines = [line for number, text in enumerate(self.steps, 1) for line in answer(number, text)]
        return results(stream(*HEAD, *lines), script)


def state_in(folder: Path) -> restoring.State:
    """Return a state that lies in a folder."""
    path = folder / "old.state"
    path.write_bytes(SavedState().content())
    return restoring.State(Cell(machine="emulated:neoverse-n1", kernel="deb:6.1"), NATIVE_CAP, DIGEST, path)


def test_a_capability_is_a_step_with_its_argument():
    script = Script()
    script.give(1000)
    script.give(1000, 0x410FD0B0, slot=1)
    script.give_vcpu(1, 1000, 2)
    assert script.text() == "cap 0 1000 0x0\ncap 1 1000 0x410fd0b0\nvcpucap 0 1 1000 0x2\n"


@pytest.mark.parametrize("what", ["cap", "vcpucap"])
@pytest.mark.parametrize(("says", "problem"), [("", ""), (" errno=EINVAL", "EINVAL")])
def test_what_becomes_of_a_capability(what, says, problem):
    asks = {"cap": lambda script: script.give(1000), "vcpucap": lambda script: script.give_vcpu(0, 1000)}
    assert one(asks[what], f"step n=0 step=1 what={what}{says}").problem == problem
    with pytest.raises(ProbeError):
        one(asks[what], f"step n=0 step=1 what={what} says=1")


def test_a_vm_is_saved_with_what_kvm_gave_and_refused():
    probe = FakeProbe()
    asked = Launch(NATIVE_CAP, 3, {"CLIDR_EL1": 0x82000023}, (OF_VCPU, OF_VM))
    saved = saving.save(probe, asked, Deadline(5))
    assert (saved.cpu, saved.given) == (3, (REFUSED, *TAKEN))
    assert probe.steps[: probe.steps.index("load 0 remember.img")] == [
        "pin 3",
        "vm 0 0",
        "cap 0 1000 0x410fd0b0",
        "vcpu 0",
        "init 0 0 0x4",
        "vcpucap 0 0 1001 0x0",
        "vcpu 0",
        "init 0 1 0x4",
        "vcpucap 0 1 1001 0x0",
        "gic 0",
        "set 0 0 0x603000000013c801 0x82000023",
        "set 0 1 0x603000000013c801 0x82000023",
    ]
    assert saving.save(probe, Launch(AS_LAUNCHED, 0), Deadline(5)).given == ()


def test_a_vm_is_restored_into_one_with_the_same_capabilities(tmp_path):
    probe = FakeProbe()
    targets = [Target(Way.ALL, 3, (OF_VM, OF_VCPU)), Target(Way.LIST, 0)]
    whole, listed = restoring.restore(probe, state_in(tmp_path), targets, Deadline(5))
    assert (whole.cpu, whole.way, whole.given, whole.listed) == (3, Way.ALL, (REFUSED, *TAKEN), 2)
    assert (listed.cpu, listed.way, listed.given, listed.listed) == (0, Way.LIST, (), 2)
    assert (len(whole.views), len(listed.views)) == (8, 0), "only where all is restored a guest goes on"
    assert probe.steps == [
        *("pin 3", "vm 0 0", "cap 0 1000 0x410fd0b0"),
        *("vcpu 0", "init 0 0 0x4", "vcpucap 0 0 1001 0x0"),
        *("vcpu 0", "init 0 1 0x4", "vcpucap 0 1 1001 0x0", "gic 0"),
        *("list 0 0", f"restore 0 0 {DIGEST}.state", "run 0 0 0x0", "run 0 1 0x0", "drop 0"),
        *("pin 0", "vm 0 0", "vcpu 0", "init 0 0 0x4", "vcpu 0", "init 0 1 0x4", "gic 0"),
        *("list 0 0", f"restore 0 2 {DIGEST}.state", "drop 0"),
    ]


@pytest.mark.parametrize("head", [{"gic": 0}, {"guest": b"sweep"}])
def test_a_vm_of_another_type_is_refused_before_kvm_is_asked(tmp_path, head):
    probe, content = FakeProbe(), SavedState(head=head).content()
    (tmp_path / "odd.state").write_bytes(content)
    odd = replace(state_in(tmp_path), sha256=hashlib.sha256(content).hexdigest(), path=tmp_path / "odd.state")
    with pytest.raises(EvidenceError, match=r"odd\.state is a VM of another type"):
        restoring.restore(probe, odd, [Target(Way.ALL, 0)], Deadline(5))
    assert probe.steps == []


def test_another_state_than_was_saved_is_not_restored(tmp_path):
    probe = FakeProbe()
    other = replace(state_in(tmp_path), sha256="ab" * 32)
    with pytest.raises(EvidenceError, match="another state than was saved"):
        restoring.restore(probe, other, [Target(Way.ALL, 0)], Deadline(5))
    assert probe.steps == []
