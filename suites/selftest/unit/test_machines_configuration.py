"""Asking a machine what its kernel was configured with: the script itself, a real sshd, and odd answers."""

import gzip
import os
import re
from pathlib import Path

import pytest
from ssh_lab import lab, sshds

from ccsight.deadline import Deadline
from ccsight.errors import HostRefused, InfraError, UsageError
from ccsight.machines import configuration
from ccsight.machines.local import LocalHost
from ccsight.process import Completed

__all__ = ["lab", "sshds"]

CONFIG = "# Linux/arm64\nCONFIG_ARM64=y\n# CONFIG_X is not set\n"
RELEASE = "6.12.9-arm64"


class Rehearsal(LocalHost):
    """A host whose /proc, /boot and /lib lie below a folder, and whose kernel has a release of ours."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, argv, deadline, *, limit=64 << 20):
        script = argv[2].replace("$(uname -r)", RELEASE)
        for place in ("/proc/", "/boot/", "/lib/modules/"):
            script = script.replace(place, f"{self.folder}{place}")
        return super().run([*argv[:2], script, *argv[3:]], deadline, limit=limit)


@pytest.fixture
def there(tmp_path):
    for name in ("proc", "boot", "lib/modules"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "proc/cmdline").write_text("root=/dev/vda1 quiet\n")
    (tmp_path / "proc/modules").write_text("ext4 1 2 - Live 0x0\nvirtio_blk 1 0 - Live 0x0 (E)\n")
    return tmp_path


def ask(folder):
    return configuration.ask(Rehearsal(folder), "altra", Deadline(20))


def test_the_running_kernels_own_configuration_comes_first(there):
    (there / "proc/config.gz").write_bytes(gzip.compress(CONFIG.encode()))
    (there / f"boot/config-{RELEASE}").write_text("CONFIG_OTHER=y\n")
    told = ask(there)
    assert (told.file, told.config) == (f"{there}/proc/config.gz", CONFIG)
    assert told.modules == ("ext4", "virtio_blk")


@pytest.mark.parametrize("place", [f"boot/config-{RELEASE}", f"lib/modules/{RELEASE}/config"])
def test_else_it_is_the_one_of_its_package(there, place):
    (there / place).parent.mkdir(exist_ok=True)
    (there / place).write_text(CONFIG)
    assert ask(there).config == CONFIG


def test_a_machine_without_one_is_told_what_would_bring_it(there):
    (there / "boot/config-6.1").write_text(CONFIG)
    with pytest.raises(UsageError, match="altra has no configuration") as caught:
        ask(there)
    assert RELEASE in caught.value.evidence
    assert "CONFIG_IKCONFIG_PROC" in caught.value.next_step


def test_a_kernel_that_loads_no_modules_has_none_loaded(there):
    (there / "proc/modules").unlink()
    (there / f"boot/config-{RELEASE}").write_text(CONFIG)
    assert ask(there).modules == ()


def test_a_kernel_of_ours_is_not_what_the_machine_runs(there):
    (there / f"boot/config-{RELEASE}").write_text(CONFIG)
    (there / "proc/cmdline").write_text("root=/dev/vda1 panic=10 ccsight.patience=60 ccsight.boot=0123\n")
    with pytest.raises(UsageError, match="runs a kernel that ccsight has booted"):
        ask(there)


def test_half_a_configuration_is_none(there):
    packed = gzip.compress(CONFIG.encode() * 100)
    (there / "proc/config.gz").write_bytes(packed[:-20])
    with pytest.raises(HostRefused, match=r"config.gz of altra cannot be read"):
        ask(there)


class Saying:
    """A host that says this, whatever it is asked."""

    def __init__(self, said):
        self.said = said

    def run(self, argv, deadline, *, limit=0):
        return Completed(tuple(argv), 0, self.said, b"sh: no")


@pytest.mark.parametrize(
    "said",
    [
        b"",
        b"\nend\n",
        b"Welcome!\nrelease 6\nconfig /boot/c\nend\nx\n# ccsight: end\n",
        b"release 6\nrelease 7\nconfig /boot/c\nend\nx\n# ccsight: end\n",
        b"release 6\nconfig /boot/c\n",
        b"config /boot/c\nend\nx\n# ccsight: end\n",
        b"release 6\nmodules \x1b[2J\nconfig /boot/c\nend\nx\n# ccsight: end\n",
    ],
)
def test_an_answer_that_is_none_is_no_configuration(said):
    with pytest.raises(InfraError, match="what altra says of itself cannot be read"):
        configuration.ask(Saying(said), "altra", Deadline(20))


@pytest.mark.parametrize(
    "said",
    [
        b"release 6\nunread /boot/c\nconfig /boot/c\nend\n",
        b"release 6\nunread /proc/modules\nconfig /boot/c\nend\nx\n# ccsight: end\n",
        b"release 6\nconfig /boot/c\nend\nCONFIG_ARM64=y\n",
    ],
)
def test_what_cannot_be_read_is_named(said):
    with pytest.raises(HostRefused, match=r"of altra cannot be read"):
        configuration.ask(Saying(said), "altra", Deadline(20))


def test_it_is_asked_over_ssh_by_the_name_of_its_entry(lab, monkeypatch, tmp_path):
    lab.write(lab.entry("altra", lab.machine))
    monkeypatch.setattr(configuration, "_SCRIPT", tmp_path / "script")
    said = f"release 6\nmodules ext4 \nconfig /boot/config-6\nend\n{CONFIG}# ccsight: end\n"
    (tmp_path / "script").write_text(f"cat <<'E'\n{said}E\n")
    told = configuration.of_machine("altra", Deadline(20), print)
    assert (told.file, told.config, told.modules) == ("/boot/config-6", CONFIG, ("ext4",))
    with pytest.raises(UsageError, match="no machine 'altar'") as caught:
        configuration.of_machine("altar", Deadline(20), print)
    assert "altra" in caught.value.evidence


def test_this_very_system_says_what_it_has(lab, monkeypatch):
    """The script over a real connection, nothing of it made up: a configuration, or that there is none."""
    lab.write(lab.entry("here", lab.machine))
    release = os.uname().release
    if Path("/proc/config.gz").exists() or Path(f"/boot/config-{release}").exists():
        told = configuration.of_machine("here", Deadline(20), print)
        assert re.search("^CONFIG_[A-Z0-9_]+=y$", told.config, re.MULTILINE)
    else:
        with pytest.raises(UsageError, match="here has no configuration"):
            configuration.of_machine("here", Deadline(20), print)
