"""Boots that fail, each in its own way, and what is left of them: nothing."""

import dataclasses
import os
import signal
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import BootError, UsageError
from ccsight.kernels.spec import resolve
from ccsight.machines import emulator
from ccsight.machines.emulated import EmulatedMachine
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import known, machine, parse

pytestmark = pytest.mark.emulated


@pytest.fixture(scope="module")
def kernel():
    return resolve("deb:6.1", Deadline(600), print)


def boot(kernel, console, patience=60.0):
    """Boot a kernel that cannot be booted; return the error and how long that took."""
    one = EmulatedMachine(parse("emulated:cortex-a57"), patience=patience)
    one.prepare(Deadline(600), print)
    start = time.monotonic()
    with pytest.raises(BootError) as error, one.boot(BootOrder(kernel, console), Deadline(120), print):
        pass
    assert not emulators(str(console))
    return error.value, time.monotonic() - start


def emulators(word):
    """Return the processes that carry a word on their command line, but this one."""
    found = []
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if word.encode() in place.read_bytes() and "qemu" in place.read_text():
                found.append(int(place.parent.name))
        except OSError:
            continue
    return found


def test_a_panic_is_recognised_at_once(kernel, tmp_path):
    asked = dataclasses.replace(kernel, append="rdinit=/nonexistent")
    error, seconds = boot(asked, tmp_path / "console.log")
    assert "the kernel panicked: VFS: Unable to mount root fs" in error.fact
    assert f"({tmp_path}/console.log:" in error.evidence
    assert seconds < 30


def test_a_panic_that_does_not_end_is_named_at_the_deadline(kernel, tmp_path):
    asked = dataclasses.replace(kernel, append="rdinit=/nonexistent panic=0")
    error, seconds = boot(asked, tmp_path / "console.log", patience=8)
    assert "panicked and did not end: VFS: Unable to mount root fs" in error.fact
    assert 8 <= seconds < 12


def test_a_hang_before_the_banner_ends_at_the_deadline(kernel, tmp_path):
    """An arm64 Image (Documentation/arch/arm64/booting.rst) that is one branch to itself."""
    spinning = tmp_path / "Image"
    spinning.write_bytes(
        struct.pack("<II6Q4sI", 0x14000000, 0, 0, 0x100000, 0xA, 0, 0, 0, b"ARMd", 0) + bytes(4096)
    )
    asked = dataclasses.replace(kernel, image=spinning, modules=None)
    error, seconds = boot(asked, tmp_path / "console.log", patience=3)
    assert "the kernel printed nothing within 3 s" in error.fact
    assert f"nothing on the console ({tmp_path}/console.log)" in error.evidence
    assert 3 <= seconds < 6


def test_a_system_that_never_gets_ready_shows_its_last_lines(kernel, tmp_path):
    asked = dataclasses.replace(kernel, append="rdinit=/bin/sleep -- 1000")
    error, _ = boot(asked, tmp_path / "console.log", patience=6)
    assert "not ready within 6 s" in error.fact
    assert f"({tmp_path}/console.log:" in error.evidence


def test_a_kernel_without_its_network_driver_says_so(kernel, tmp_path):
    asked = dataclasses.replace(kernel, modules=None)
    error, seconds = boot(asked, tmp_path / "console.log")
    assert "failed to find a network interface" in error.fact
    assert seconds < 30


def test_qemu_that_does_not_start_says_why(kernel, tmp_path):
    asked = dataclasses.replace(kernel, image=tmp_path / "absent")
    error, seconds = boot(asked, tmp_path / "console.log")
    assert "QEMU ended with status 1" in error.fact
    assert "could not load kernel" in error.evidence
    assert seconds < 10


def test_a_port_that_is_taken_is_tried_again_elsewhere(kernel, tmp_path, monkeypatch):
    import socket

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = [taken.getsockname()[1]]
        right = emulator.free_port
        monkeypatch.setattr(emulator, "free_port", lambda: ports.pop() if ports else right())
        one = machine("emulated:cortex-a57")
        with one.boot(BootOrder(kernel, tmp_path / "console.log"), Deadline(120), print) as booted:
            assert booted.host.run(["true"], Deadline(20)).returncode == 0
        assert not ports


def test_an_unknown_model_names_the_nearest(kernel, tmp_path):
    console = tmp_path / "console.log"
    with pytest.raises(UsageError, match="did you mean 'neoverse-n1'"):
        machine("emulated:neoverse_n1").prepare(Deadline(600), print)
    with (
        pytest.raises(UsageError),
        machine("emulated:cortex-a15").boot(BootOrder(kernel, console), Deadline(600), print),
    ):
        pass
    assert not console.exists()


def test_the_known_machines_are_the_64_bit_models():
    found = known(Deadline(600), print)
    assert {"emulated:neoverse-n1", "emulated:max", "emulated:a64fx"} <= set(found)
    assert "emulated:cortex-a15" not in found


def test_a_console_that_cannot_be_written_is_the_users_affair(kernel, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="cannot write below"):
        with machine("emulated:cortex-a57").boot(
            BootOrder(kernel, tmp_path / "file/x/c.log"), Deadline(60), print
        ):
            pass


CONTROLLER = """
import sys, time
from pathlib import Path
from ccsight.deadline import Deadline
from ccsight.kernels.spec import resolve
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine
kernel = resolve("deb:6.1", Deadline(600), print)
stages = lambda stage: print(stage, flush=True)
with machine("emulated:cortex-a57").boot(BootOrder(kernel, Path(sys.argv[1])), Deadline(120), stages):
    print("up", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("stage", ["boot", "up"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_however_the_controller_ends_no_qemu_is_left(kernel, tmp_path, stage, number):
    console = tmp_path / "console.log"
    controller = subprocess.Popen(
        [sys.executable, "-c", CONTROLLER, console],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        while controller.stdout.readline().strip() != stage:
            assert controller.poll() is None
        for _ in range(100):
            if emulators(str(console)) and console.exists() and console.stat().st_size:
                break
            time.sleep(0.1)
        assert len(running := emulators(str(console))) >= 1
        os.kill(controller.pid, number)
        controller.wait(10)
        time.sleep(0.3)
        assert not emulators(str(console)), running
    finally:
        controller.kill()
        controller.stdout.close()
        controller.wait()
