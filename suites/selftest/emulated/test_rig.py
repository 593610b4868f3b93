"""The rig is a machine: its firmware boots it, and its switch, console and faults do what they say."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import rig as rigs
from rig import Rig

pytestmark = [pytest.mark.emulated, pytest.mark.long]


@pytest.fixture(scope="module")
def rig(tmp_path_factory):
    with Rig(tmp_path_factory.mktemp("rig")) as one:
        one.start()
        one.wait(400)
        yield one


def test_it_is_a_debian_with_all_that_the_boot_methods_want(rig):
    rig.run("test -c /dev/kvm && test -c /dev/watchdog && test -d /sys/firmware/efi/efivars")
    rig.run("command -v grub-reboot bootctl efibootmgr kexec update-initramfs sudo systemctl")


def test_its_power_command_turns_it_off_and_on(rig):
    before, told = rig.wait(), len(rig.said())
    done = subprocess.run([*rig.power_argv, "status"], capture_output=True, text=True, check=True)
    assert done.stdout == "on\n"
    subprocess.run(rig.power_argv, check=True)
    assert rig.wait(400, other_than=before) != before
    assert "UEFI firmware" in rig.said()[told:]


def test_a_power_command_that_fails_leaves_it_alone(rig):
    before = rig.wait()
    rig.fail_power()
    assert subprocess.run(rig.power_argv, check=False, capture_output=True).returncode == 1
    rig.fail_power(False)
    assert rig.wait() == before


def test_the_console_command_yields_what_it_says(rig):
    follow = subprocess.Popen(rig.console_argv, stdout=subprocess.PIPE)
    try:
        rig.run("sleep 1; echo a word on the serial port >/dev/ttyAMA0")
        assert any(b"a word on the serial port" in line for line in follow.stdout)
    finally:
        follow.kill()
        follow.wait()
        follow.stdout.close()


def test_nothing_is_left_of_it_when_its_process_is_killed(tmp_path):
    argv = [sys.executable, rigs.__file__, str(tmp_path / "killed")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as owner:
        while not owner.stdout.readline().startswith("ssh "):
            assert owner.poll() is None
        assert _holders(tmp_path)
        owner.send_signal(signal.SIGKILL)
    for _ in range(100):
        if not _holders(tmp_path):
            return
        time.sleep(0.1)
    pytest.fail(f"left: {_holders(tmp_path)}")


def _holders(folder: Path) -> list[str]:
    """Return the processes whose words name a file below the folder."""
    found = []
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = each.read_bytes()
        except OSError:
            continue
        if os.fsencode(folder) in words and b"qemu" in words:
            found.append(each.parent.name)
    return found
