"""The rig booted once into another kernel by each method, harmed in each way: it always is back on its own.

The rig is known as an address in an inventory. What is booted is its own kernel, from the archive, once more:
that its modules are there already makes these minutes fewer. The whole matrix runs with ``-m matrix``.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress

import pytest
from command import ccsight
from rig import Rig

from ccsight.deadline import Deadline
from ccsight.errors import BootError, DeadlineExceeded, InfraError, MachineLost
from ccsight.evidence.model import Reboot, Substrate
from ccsight.evidence.run import find_run
from ccsight.kernels import spec as kernels
from ccsight.machines import admission, inventory, registry, way
from ccsight.machines.lease import Place, Taken
from ccsight.machines.model import BootOrder
from ccsight.process import ProcessFailed

pytestmark = [pytest.mark.emulated, pytest.mark.long]

NAME = "rig"
METHODS = ("kexec", "grub", "efi", "systemd-boot")
#: Seconds that the rig may take to come up on a loaded system.
PATIENCE = 400
#: What a harmed kernel is told, and what has to bring the rig back then.
PANIC = "ccsight.trial=panic"
HARMS = {
    "it panics early": PANIC,
    "it has no root file system": "root=/dev/none rootdelay=1",
    "its sshd never starts": "systemd.mask=ssh.service systemd.mask=ssh.socket ccsight.patience=60",
    "it has no network": "systemd.mask=systemd-networkd.service ccsight.patience=60",
    "it stops in an emergency": "systemd.unit=emergency.target ccsight.patience=60",
}
#: The stages at which whoever boots it may be killed.
STAGES = ("look", "install", "boot", "programs", "return")
#: Boots a machine with a kernel, and says each stage as it begins.
_BOOTS = """
import sys, time
from pathlib import Path
from ccsight.deadline import Deadline
from ccsight.kernels import spec as kernels
from ccsight.machines import registry
from ccsight.machines.model import BootOrder

def say(stage):
    print(stage, flush=True)

name, kernel, console = sys.argv[1:]
order = BootOrder(kernels.resolve(kernel, Deadline(600), say), Path(console))
with registry.machine(name).boot(order, Deadline(1200), say):
    say("programs")
    time.sleep(10)
"""


class Lab:
    """The rig, its entry in an inventory, and what it is in each moment."""

    def __init__(self, rig, folder):
        self.rig = rig
        self.folder = folder
        self.own = rig.run("uname -r")
        version = rig.run("dpkg-query -W -f '${Version}' linux-image-$(uname -r)")
        self.kernel = f"deb:6.12={version}"

    def enter(self, method, **changes):
        rows = {"boot": method, "patience": PATIENCE} | changes
        (self.folder / "machines.toml").write_text(self.rig.inventory(NAME, **rows))
        inventory.choose(self.folder / "machines.toml")

    @contextmanager
    def entered(self, method, **changes):
        """Have it in the inventory with a method, started by the boot loader that this wants."""
        self.enter(method, **changes)
        if method == "systemd-boot":
            self.rig.prefer("systemd-boot")
            self.rig.power("cycle")
        try:
            yield self.rig.wait()
        finally:
            self.rig.prefer("debian")

    @contextmanager
    def booted(self, harm="", options="attended=on"):
        """Boot it with a kernel that is told to do harm."""
        append = f",append={harm}" if harm else ""
        kernel = kernels.resolve(f"{self.kernel}{append}", Deadline(600), print)
        machine = registry.machine(f"{NAME},{options}")
        order = BootOrder(kernel, self.folder / f"{time.monotonic_ns()}.log")
        with machine.boot(order, Deadline(1200), print) as up:
            self.console = order.console
            yield up
        self.console = order.console

    def prove_home(self, before):
        """Prove that it runs its own kernel in another boot, that nobody has it, and nothing is left."""
        after = self.rig.wait(600, other_than=before)
        assert "ccsight" not in self.rig.run("cat /proc/cmdline")
        assert self.rig.run("uname -r") == self.own
        self.prove_clean()
        return after

    def wait_home(self, clock):
        """Wait until it runs its own kernel, whichever it runs until then."""
        told = "ccsight"
        while "ccsight" in told:
            clock.check("its return")
            self.rig.wait(600)
            with suppress(ProcessFailed, DeadlineExceeded):
                told = self.rig.run("cat /proc/cmdline")
            time.sleep(2)

    def have_it_again(self):
        """Have it once its lease has ended, and prove that then nothing of the last boot is left."""
        self.enter("kexec")
        clock = Deadline(900)
        while True:
            try:
                with self.booted():
                    break
            except Taken:
                clock.check("the end of its lease")
                time.sleep(20)
        self.prove_clean()

    def prove_clean(self):
        left = "ls -d /boot/ccsight* /boot/efi/EFI/ccsight /boot/efi/ccsight /boot/grub/custom.cfg 2>&-; "
        left += "cat /boot/efi/loader/entries/ccsight.conf /sys/kernel/kexec_loaded 2>&- | grep -v '^0$'; "
        left += (
            "grub-editenv /boot/grub/grubenv list | grep next_entry=.; efibootmgr | grep -E 'ccsight|Next'; "
        )
        left += "ls -A /lib/modules/*/.ccsight 2>&-; true"
        assert self.rig.run(left) == ""
        with way.connected(inventory.entry(NAME), Deadline(60)) as host:
            seen = Place(NAME, host).look(Deadline(60))
        assert seen.holder is None or not seen.awaited


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(inventory.VARIABLE, "")
        with Rig(tmp_path_factory.mktemp("rig")) as rig:
            rig.start()
            rig.wait()
            yield Lab(rig, tmp_path_factory.mktemp("lab"))


def captured(lab, machine):
    """Capture the rig's own kernel there, as a user would, and return the run and what it has captured."""
    said = ccsight("capture", lab.kernel, "--on", machine, "--out", "runs", cwd=lab.folder, seconds=1200)
    print(said.stdout, said.stderr)
    assert said.code == 0
    run = find_run(lab.folder / "runs")
    (cell,) = run.plan.cells
    return run, run.capture(cell)


def test_a_kernel_is_captured_there_and_it_is_back(lab):
    """Boot, prove, capture, return: with kexec, and all that a user sees of it."""
    lab.enter("kexec")
    before = lab.rig.wait()
    run, capture = captured(lab, f"{NAME},attended=on")
    assert capture.machine.substrate is Substrate.EMULATED
    assert capture.kernel.release == lab.own
    assert capture.machine.reboot == Reboot(method="kexec", recovery=())
    assert capture.failures == {}
    console = run.folder / capture.console.file
    assert "Booting Linux on physical CPU" in console.read_text().splitlines()[0]
    assert "panic=10" in console.read_text()
    lab.prove_home(before)
    prove_no_metal(lab, run)


def prove_no_metal(lab, run):
    """Prove that a gate that wants metal takes no evidence of the rig's, whatever an inventory calls it."""
    policy = lab.folder / "policy.toml"
    kernels = f'[kernels]\nold = "deb:6.1"\nnew = "{lab.kernel}"\n'
    for substrate in ("metal", "emulated"):
        member = f'[machines.{NAME}]\nspecs = ["{NAME}"]\nsubstrate = "{substrate}"\n'
        policy.write_text(f"schema = 1\n{kernels}{member}")
        said = ccsight("gate", str(run.folder), "--policy", str(policy), cwd=lab.folder)
        assert (said.code, said.stdout[:5]) == (1, "HOLD\n")
        wanting = "no evidence from metal (policy: metal; have: emulated)" in said.stdout
        assert wanting == (substrate == "metal")


def test_a_machine_that_nobody_has_seen_come_back_is_left_alone(lab):
    lab.enter("kexec")
    with pytest.raises(InfraError, match="has not been admitted"), lab.booted(options="force=on"):
        pytest.fail("it was booted")


def harmed(lab, method, harm):
    with lab.entered(method) as before:
        with (
            pytest.raises(BootError, match="did not come up with that kernel") as failed,
            lab.booted(HARMS[harm]),
        ):
            pytest.fail("it came up")
        assert "by itself" in failed.value.evidence
        lab.prove_home(before)


def test_a_kernel_that_panics_falls_back_to_the_own_one(lab):
    harmed(lab, "grub", "it panics early")


@pytest.mark.matrix
@pytest.mark.parametrize("harm", HARMS)
@pytest.mark.parametrize("method", METHODS)
def test_each_method_with_each_harm(lab, method, harm):
    harmed(lab, method, harm)


@pytest.mark.matrix
@pytest.mark.parametrize("method", METHODS)
def test_each_method_boots_and_returns(lab, method):
    with lab.entered(method) as before:
        with lab.booted() as up:
            assert up.boot_token in up.host.run(["cat", "/proc/cmdline"], Deadline(60)).text
            assert up.host.run(["uname", "-r"], Deadline(60)).text.strip() == lab.own
        lab.prove_home(before)


@pytest.mark.matrix
def test_it_is_admitted_and_then_booted_with_nobody_there(lab):
    """Each trial, the harm that it does, and what brings the rig back from it."""
    lab.enter("kexec", patience=200)
    before = lab.rig.wait()
    said = ccsight("machines", "admit", NAME, cwd=lab.folder, seconds=3600)
    print(said.stderr)
    assert said.code == 0
    every = ("panic", "timer", "watchdog", "power")
    assert f"its recovery class: {', '.join(every)}" in said.stderr
    before = lab.prove_home(before)
    _, capture = captured(lab, NAME)
    assert capture.machine.reboot == Reboot(method="kexec", recovery=every)
    lab.prove_home(before)
    lab.rig.run(f"rm {admission.PLACE}")


@pytest.mark.matrix
def test_a_kernel_that_hangs_is_ended_by_power(lab):
    lab.enter("kexec", patience=60)
    before = lab.rig.wait()
    with pytest.raises(BootError) as failed, lab.booted(f"panic=0 {PANIC}"):
        pytest.fail("it came up")
    assert "after it was turned off and on" in failed.value.evidence
    lab.prove_home(before)


@pytest.mark.matrix
def test_a_power_command_that_fails_loses_the_machine_until_somebody_goes_there(lab):
    lab.enter("kexec", patience=60)
    before = lab.rig.wait()
    lab.rig.fail_power()
    try:
        with pytest.raises(MachineLost, match="its power command fails"), lab.booted(f"panic=0 {PANIC}"):
            pytest.fail("it came up")
    finally:
        lab.rig.fail_power(False)
    lab.rig.power("cycle")
    lab.rig.wait(other_than=before)
    lab.have_it_again()


@pytest.mark.matrix
def test_a_network_that_goes_away_while_it_is_up(lab):
    """The machine is lost to us, and goes home by itself; once the network is back, somebody can have it."""
    lab.enter("kexec", patience=100, power=[])
    before = lab.rig.wait()
    try:
        with pytest.raises(MachineLost, match="did not come back within 150 s"), lab.booted():
            lab.rig.set_link(False)
    finally:
        lab.rig.set_link(True)
    lab.rig.wait(other_than=before)
    lab.wait_home(Deadline(900))
    lab.have_it_again()


@pytest.mark.matrix
def test_no_room_in_boot_is_found_before_anything_is_changed(lab):
    lab.enter("kexec")
    before = lab.rig.wait()
    lab.rig.fill_boot()
    try:
        with pytest.raises(InfraError, match="has no room for"), lab.booted():
            pytest.fail("it was booted")
    finally:
        lab.rig.run("rm /boot/full")
    assert lab.rig.wait() == before
    lab.prove_clean()


@pytest.mark.matrix
def test_a_kernel_that_is_locked_down_is_left_alone(lab):
    before = lab.rig.wait()
    lab.rig.run("echo integrity >/sys/kernel/security/lockdown")  # until it is reset
    for method in ("kexec", "grub", "efi"):
        lab.enter(method)
        with pytest.raises(InfraError, match="its kernel is locked down: integrity"), lab.booted():
            pytest.fail("it was booted")
    assert lab.rig.wait() == before
    lab.prove_clean()
    lab.rig.power("cycle")
    lab.rig.wait(other_than=before)


@pytest.mark.matrix
def test_a_clock_that_jumps_changes_nothing(lab):
    lab.enter("kexec")
    before = lab.rig.wait()
    lab.rig.jump_clock(400 * 24 * 3600)
    with lab.booted() as up:
        up.host.run(["date", "-s", "2001-01-01"], Deadline(60))
    lab.prove_home(before)


@pytest.mark.matrix
def test_two_controllers_at_once(lab):
    lab.enter("kexec")
    before = lab.rig.wait()
    with lab.booted():
        with pytest.raises(Taken, match="is taken by"), lab.booted():
            pytest.fail("it was booted twice")
    lab.prove_home(before)


@pytest.mark.matrix
@pytest.mark.parametrize("stage", STAGES)
def test_whoever_boots_it_is_killed(lab, stage):
    """After that it is on its own kernel, by itself, and somebody else can have it."""
    lab.enter("kexec", patience=100)
    lab.rig.wait()
    argv = [sys.executable, "-c", _BOOTS, f"{NAME},attended=on", lab.kernel, str(lab.folder / f"{stage}.log")]
    child = subprocess.Popen(argv, stdout=subprocess.PIPE, start_new_session=True, text=True)
    reached = next(line for line in child.stdout if line.strip() == stage)
    assert reached
    time.sleep(2)  # in the midst of it
    os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    clock = Deadline(900)
    time.sleep(20)  # on its way down it may answer yet
    lab.wait_home(clock)
    lab.have_it_again()


@pytest.mark.matrix
def test_a_host_key_that_changed_is_refused(lab):
    lab.enter("kexec")
    before = lab.rig.wait()
    lab.rig.change_host_key()
    with pytest.raises(InfraError, match="host key"), lab.booted():
        pytest.fail("it was booted")
    assert lab.rig.wait() == before
