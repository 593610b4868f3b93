"""Room for a kernel on a machine, asked before anything is sent there."""

from types import SimpleNamespace

import pytest
from test_machines_check import said

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines import equipment, staging
from ccsight.machines.local import LocalHost
from ccsight.machines.root import Root

KIB = 1 << 10
#: What an initramfs may take, and an Image and modules of 1 MiB each, in KiB.
INITRD, EACH = 120 * KIB, KIB


@pytest.fixture
def kernel(tmp_path):
    modules = tmp_path / "modules"
    modules.mkdir()
    for file in (tmp_path / "Image", modules / "kvm.ko.xz"):
        file.write_bytes(bytes(EACH * KIB))
    names = {"release": "0.0-of-this-test", "spec": SimpleNamespace(text="deb:6.1")}
    return SimpleNamespace(image=tmp_path / "Image", modules=modules, **names)


@pytest.mark.parametrize(
    ("boot", "modules", "where"),
    [
        (INITRD + 2 * EACH - 1, 2 * EACH, "/boot"),
        (INITRD + 2 * EACH, 2 * EACH - 1, "/lib/modules"),
        (INITRD + 2 * EACH, 2 * EACH, None),
    ],
)
def test_what_is_sent_lies_in_boot_until_it_is_unpacked(kernel, boot, modules, where, monkeypatch):
    sent = []

    def received(root, deadline):
        sent.append(root.name)
        raise InfraError("it is sent")

    monkeypatch.setattr(staging, "_received", received)
    found = equipment.parse(said(boot=str(boot), modules=str(modules)), "m")
    what = f"m has no room for deb:6.1 in {where}" if where else "it is sent"
    with pytest.raises(InfraError, match=what):
        staging.kernel(kernel, Root("m", LocalHost()), found, (), Deadline(20))
    assert sent == ([] if where else ["m"])


def test_modules_that_are_there_need_no_room(kernel, monkeypatch):
    monkeypatch.setattr(staging, "_modules", lambda root, given, deadline: "there")
    found = equipment.parse(said(boot=str(INITRD + EACH - 1), modules="0"), "m")
    with pytest.raises(InfraError, match="in /boot") as failed:
        staging.kernel(kernel, Root("m", LocalHost()), found, (), Deadline(20))
    assert failed.value.evidence == "120 MiB are free, 121 MiB are needed"
