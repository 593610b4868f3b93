"""The rig with a real U-Boot, whose environment has it boot a kernel once, and is as it was after that."""

import pytest
from rig import Rig
from test_rig_methods import NAME, PANIC, Lab

from ccsight.deadline import Deadline
from ccsight.errors import BootError, InfraError
from ccsight.machines import equipment, inventory, staging, way
from ccsight.machines.methods import extlinux

pytestmark = [pytest.mark.emulated, pytest.mark.long]


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(inventory.VARIABLE, "")
        with Rig(tmp_path_factory.mktemp("rig"), u_boot=True) as rig:
            rig.start()
            rig.wait()
            yield rig


@pytest.fixture
def lab(rig, tmp_path):
    """Have it as it comes from a shop, and prove that it is so again."""
    lab = Lab(rig, tmp_path)
    lab.enter("extlinux")
    environment = rig.run("fw_printenv")
    assert "bootcmd=" in environment
    assert "ccsight" not in environment
    yield lab
    assert rig.run("fw_printenv") == environment


def test_it_is_booted_by_u_boot_and_returns(lab):
    before = lab.rig.wait()
    assert "U-Boot" in lab.rig.said()
    with lab.booted() as up:
        assert up.boot_token in up.host.run(["cat", "/proc/cmdline"], Deadline(60)).text
        assert up.reboot.method == "extlinux"
        # Had it died here, the next boot would be its own: that was saved before this kernel began.
        assert "\nccsight_once=" not in up.host.run(["fw_printenv"], Deadline(60)).text
    lab.prove_home(before)


def test_a_kernel_that_panics_at_its_start_falls_back(lab):
    before = lab.rig.wait()
    with pytest.raises(BootError, match="did not come up with that kernel") as failed, lab.booted(PANIC):
        pytest.fail("it came up")
    assert "by itself" in failed.value.evidence
    lab.prove_home(before)


def test_an_environment_that_cannot_be_written_is_refused(lab):
    before = lab.rig.wait()
    lab.rig.run("blockdev --setro /dev/disk/by-id/virtio-u-boot-env")
    try:
        with pytest.raises(InfraError, match="environment cannot be written"), lab.booted():
            pytest.fail("it was booted")
    finally:
        lab.rig.run("blockdev --setrw /dev/disk/by-id/virtio-u-boot-env")
    assert lab.rig.wait() == before
    lab.prove_clean()


@pytest.mark.matrix
def test_a_power_cut_before_it_goes_down_is_that_boot_and_none_after_it(lab, monkeypatch):
    """The next boot is of our kernel, as was asked, and the one after that is not: nobody has cleaned."""
    before = lab.rig.wait()
    method = extlinux.Extlinux()
    monkeypatch.setattr(extlinux, "RESTART", "")
    with way.Way(inventory.entry(NAME)).reached(Deadline(120)) as root:
        found = equipment.look(root.host, NAME, Deadline(60))
        staged = staging.own(root, found, staging.command_line(found, "beef", 300), Deadline(300))
        method.start(root, staged, Deadline(60))
        lab.rig.power("cycle")
    ours = lab.rig.wait(other_than=before)
    assert "ccsight.boot=beef" in lab.rig.run("cat /proc/cmdline")
    lab.rig.power("cycle")
    own = lab.rig.wait(other_than=ours)
    assert "ccsight" not in lab.rig.run("cat /proc/cmdline")
    with way.Way(inventory.entry(NAME)).reached(Deadline(120)) as root:
        method.clean(root, Deadline(60))
        staging.clean(root, Deadline(60))
    assert lab.rig.wait() == own


@pytest.mark.matrix
def test_a_kernel_that_is_not_there_any_more_changes_nothing(lab, monkeypatch):
    """U-Boot does not find what it was to boot, and goes on with what is its own."""
    before = lab.rig.wait()
    monkeypatch.setattr(extlinux, "RESTART", "rm -r /boot/ccsight; sync; systemctl --no-block reboot\n")
    with pytest.raises(BootError, match="did not come up with that kernel"), lab.booted():
        pytest.fail("it came up")
    lab.prove_home(before)
