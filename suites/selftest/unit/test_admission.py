"""What is written down of a machine that was seen to come back, and who is refused; what sees to it."""

import shutil
import subprocess
from pathlib import Path

import pytest

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines import admission, way_back
from ccsight.machines.admission import Admission
from ccsight.machines.local import LocalHost
from ccsight.machines.root import Root

SEEN = Admission("grub", ("panic", "timer"), "6.12.1", "ann@lab", "2026-01-01T00:00:00+00:00")


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.setattr(admission, "PLACE", str(tmp_path / "deep" / "admitted"))
    return Root("altra", LocalHost())


def test_it_is_read_as_it_was_written(root):
    admission.write(root, SEEN, Deadline(20))
    assert admission.parse(Path(admission.PLACE).read_text()) == SEEN


@pytest.mark.parametrize("text", ["", "{}", '{"method": 1}', "x" * 3000])
def test_what_cannot_be_read_admits_nothing(text):
    assert admission.parse(text) is None


def test_a_machine_is_admitted_for_the_method_that_was_seen():
    admission.prove("altra", "grub", SEEN)
    with pytest.raises(InfraError, match="altra has not been admitted to be booted by kexec") as refused:
        admission.prove("altra", "kexec", SEEN)
    assert refused.value.evidence == "it was for grub, by ann@lab"
    with pytest.raises(InfraError, match="nobody has seen that it comes back") as refused:
        admission.prove("altra", "grub", None)
    assert "--on altra,attended=on" in refused.value.next_step


def test_its_recovery_class_is_of_that_method_only():
    assert admission.recovery("grub", SEEN) == ("panic", "timer")
    assert admission.recovery("kexec", SEEN) == admission.recovery("grub", None) == ()


def test_what_stands_before_an_initramfs_is_an_archive_of_its_own(tmp_path):
    if not shutil.which("cpio"):
        pytest.fail("cpio is one of the tools that bootstrap brings")
    subprocess.run(["cpio", "-idm", "--quiet"], input=way_back.head(), cwd=tmp_path, check=True)
    run = tmp_path / "conf/conf.d/ccsight"
    assert run.read_text() == "/ccsight-way-back\n"
    assert (tmp_path / "ccsight-way-back").stat().st_mode & 0o111
    assert len(way_back.head()) % 4 == 0  # what follows begins where the kernel looks for it


@pytest.mark.parametrize(
    ("told", "done"),
    [
        ("quiet ccsight.boot=1 ccsight.patience=0 ccsight.trial=panic", "c\n"),
        ("quiet ccsight.boot=1 ccsight.patience=0", "s\nu\nb\n"),
        ("quiet ccsight.boot=1 ccsight.patience=600 ccsight.patience=0", "s\nu\nb\n"),
        ("quiet", ""),
    ],
)
def test_the_program_does_what_the_kernel_was_told(tmp_path, told, done):
    """Run it as an initramfs does, but for the files of the kernel, which are others here."""
    program = way_back.head().partition(b"#!/bin/sh")[2].partition(b"\0")[0].decode()
    (tmp_path / "cmdline").write_text(told)
    (tmp_path / "trigger").touch()
    for file, here in (("/proc/cmdline", "cmdline"), (">/proc/sysrq-trigger", "trigger")):
        assert file in program
        with_mark = f">>{tmp_path}/{here}" if file.startswith(">") else f"{tmp_path}/{here}"
        program = program.replace(file, with_mark)
    subprocess.run(["sh", "-c", f"{program}\nwait"], check=True, timeout=20)
    said = (tmp_path / "trigger").read_text()
    assert said.startswith(done) if "trial" in told else said == done
