"""A Linux guest under QEMU is moved live, too: from the old kernel to the new one."""

import dataclasses

import linux_guest
import pytest
from vmm_hosts import LIMIT, qemu, setup, sides

from ccsight.deadline import Deadline
from ccsight.kernels.spec import resolve
from ccsight.probes import live

pytestmark = [pytest.mark.emulated, pytest.mark.long]

SERIES, OLD, NEW = "10.0", "deb:6.1", "deb:6.12"


def test_a_linux_guest_goes_on_and_keeps_its_caches(tmp_path):
    deadline = Deadline(LIMIT)
    guest = linux_guest.layer(resolve(OLD, deadline, print), tmp_path / "guest.cpio", deadline)
    with sides("emulated:neoverse-n1,memory=1024", (OLD, NEW), [qemu(SERIES), guest], tmp_path) as found:
        linux = dataclasses.replace(setup(SERIES), options=linux_guest.options, ours=False)
        moved = live.move(found[OLD], found[NEW], linux, Deadline(LIMIT))
    assert (moved.status, moved.arrived) == ("completed", True), moved.words
    assert linux_guest.seconds(moved.after) > linux_guest.seconds(moved.before) > 0
    assert linux_guest.leaves(moved.before)["cpu0/cache/index0"] == "1 Data"
    assert linux_guest.leaves(moved.after) == linux_guest.leaves(moved.before), "sysfs is read once"
