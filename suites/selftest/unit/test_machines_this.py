"""``local`` and ``running``: this machine as it is, or words on why it cannot be observed."""

import dataclasses
import errno
import os
import re
from pathlib import Path

import pytest
from test_campaign_cell import SEEN, booted, kernel

from ccsight.campaign.booting import prove
from ccsight.deadline import Deadline
from ccsight.errors import BootError, InfraError, NoKvm, UsageError
from ccsight.kernels import running, spec
from ccsight.machines import registry, this_machine
from ccsight.machines.model import BootOrder
from ccsight.machines.this_machine import ThisMachine

NOTES = (
    b"\x04\0\0\0\x14\0\0\0\x03\0\0\0GNU\0" + bytes(range(20)) + b"\x06\0\0\0\x01\0\0\0\0\x01\0\0Linux\0\0\0\0"
)
BUILD_ID = bytes(range(20)).hex()
RECORDS = (
    b"6,0,0,-;Booting Linux on physical CPU 0x0000000000 [0x414fd0c1]\n",
    b"6,1,1000042,-;kvm [1]: VHE mode initialized\n SUBSYSTEM=x\n DEVICE=y\n",
    b"4,2,12345678901,c,caller=T1;a back\\x5cslash\n",
)


@pytest.fixture
def arm64(monkeypatch):
    monkeypatch.setattr(this_machine.platform, "machine", lambda: "aarch64")


@pytest.fixture
def live(monkeypatch, tmp_path):
    """A /sys/kernel/notes and a /proc/version of a kernel that we know."""
    for name, content in (("_NOTES", NOTES), ("_VERSION", b"Linux version 6.12.1 (somebody)\n")):
        monkeypatch.setattr(running, name, tmp_path / name)
        (tmp_path / name).write_bytes(content)


def local(**files) -> ThisMachine:
    return ThisMachine(registry.parse("local"), **files)


def kvm(folder: Path) -> Path:
    (folder / "kvm").touch()
    return folder / "kvm"


def test_another_architecture_is_a_usage_error(monkeypatch):
    monkeypatch.setattr(this_machine.platform, "machine", lambda: "x86_64")
    with pytest.raises(UsageError, match="not an arm64 machine") as caught:
        registry.machine("local").prepare(Deadline(5), print)
    assert (caught.value.evidence, caught.value.exit_code) == ("it is x86_64", 2)
    assert this_machine.known() == []


def test_no_kvm_is_not_observed(arm64, tmp_path):
    with pytest.raises(NoKvm) as caught:
        local(kvm=tmp_path / "kvm").prepare(Deadline(5), print)
    assert "No such file" in caught.value.evidence
    assert "CONFIG_KVM" in caught.value.next_step
    assert caught.value.exit_code == 3
    assert this_machine.known(tmp_path / "kvm") == []


@pytest.mark.parametrize(
    ("mode", "group", "advice"),
    [(0o660, "kvm", "add yourself to group kvm,"), (0o600, "kvm", "chgrp kvm"), (0o660, "", "chgrp kvm")],
)
def test_no_permission_says_which_group(arm64, tmp_path, monkeypatch, mode, group, advice):
    path = kvm(tmp_path)
    path.chmod(mode)

    def refuse(*_):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    entry = dataclasses.make_dataclass("Entry", ["gr_name", "gr_gid"])
    owner = path.stat().st_gid if group else path.stat().st_gid + 1
    monkeypatch.setattr(this_machine.grp, "getgrall", lambda: [entry(group, owner)])
    monkeypatch.setattr(this_machine.os, "open", refuse)
    with pytest.raises(NoKvm, match="does not open") as caught:
        local(kvm=path).prepare(Deadline(5), print)
    assert advice in caught.value.next_step


def test_it_is_as_it_is_and_its_log_is_the_console(arm64, tmp_path, monkeypatch):
    monkeypatch.setattr(this_machine, "read_log", lambda log: iter(RECORDS))
    with local(kvm=kvm(tmp_path)).boot(BootOrder(kernel(), tmp_path / "console"), Deadline(5), print) as up:
        assert up.here
        assert not up.takes_modules
        assert up.boot_token == Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        assert up.cpus == os.sysconf("SC_NPROCESSORS_ONLN")
        assert not (tmp_path / "console").exists()
    assert (tmp_path / "console").read_text().splitlines() == [
        "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x414fd0c1]",
        "[    1.000042] kvm [1]: VHE mode initialized",
        "[12345.678901] a back\\slash",
    ]


@pytest.mark.parametrize("records", [RECORDS[1:], (), (b"odd",)])
def test_a_log_without_its_beginning_is_no_console(arm64, tmp_path, monkeypatch, records):
    monkeypatch.setattr(this_machine, "read_log", lambda log: iter(records))
    with local(kvm=kvm(tmp_path)).boot(BootOrder(kernel(), tmp_path / "console"), Deadline(5), print):
        pass
    assert not (tmp_path / "console").exists()


def test_an_unreadable_log_is_no_console(arm64, tmp_path):
    machine = local(kvm=kvm(tmp_path), log=tmp_path / "absent")
    with machine.boot(BootOrder(kernel(), tmp_path / "console"), Deadline(5), print):
        pass
    assert not (tmp_path / "console").exists()


def test_the_boot_id_proves_the_boot():
    prove(SEEN, kernel(), booted(boot_token=SEEN.boot_id))
    other = re.sub("[0-9a-f]", "0", SEEN.boot_id)
    with pytest.raises(BootError, match="another system answers") as caught:
        prove(SEEN, kernel(), booted(boot_token=other))
    assert SEEN.boot_id in caught.value.evidence


def test_the_running_kernel_says_who_it_is(live):
    found = spec.resolve("running", Deadline(5), print)
    assert found.build_ids == {BUILD_ID}
    assert (found.release, found.label) == (os.uname().release, "running")
    assert (found.banner, found.image_sha256) == ("Linux version 6.12.1 (somebody)", "")
    assert (found.modules, found.hardware_module) == (None, None)
    assert spec.resolve("running,name=mine", Deadline(5), print).label == "mine"


def test_the_pin_is_taken_by_that_kernel_only(live, tmp_path):
    pin = spec.pin(spec.resolve("running,name=mine", Deadline(5), print))
    assert pin == f"running,build-id={BUILD_ID}"
    assert spec.resolve(pin, Deadline(5), print).build_ids == {BUILD_ID}
    (tmp_path / "_NOTES").write_bytes(NOTES.replace(bytes(range(20)), bytes(20)))
    with pytest.raises(UsageError, match="another kernel than when the run was planned"):
        spec.resolve(pin, Deadline(5), print)


def test_what_a_running_kernel_cannot_take_is_refused(live):
    with pytest.raises(UsageError, match="takes no command line"):
        spec.resolve("running,append=quiet", Deadline(5), print)
    with pytest.raises(UsageError, match="lacks what comes after the colon"):
        spec.parse("running:")


def test_a_system_without_notes_cannot_be_identified(live, tmp_path):
    (tmp_path / "_NOTES").unlink()
    with pytest.raises(InfraError, match="cannot be identified"):
        spec.resolve("running", Deadline(5), print)


@pytest.mark.parametrize(
    ("one", "other", "fits"),
    [
        ("running", "local", True),
        ("deb:6.1", "emulated:max", True),
        ("deb:6.1", "local", False),
        ("running,name=x", "silicon:rk3588", False),
    ],
)
def test_this_machine_has_its_own_kernel_and_no_other(one, other, fits):
    kernel_spec, machine_spec = spec.parse(one), registry.parse(other)
    if fits:
        registry.prove_fit(kernel_spec, machine_spec)
        return
    with pytest.raises(UsageError) as caught:
        registry.prove_fit(kernel_spec, machine_spec)
    assert one in caught.value.fact
    assert "ccsight capture --on local" in caught.value.next_step
