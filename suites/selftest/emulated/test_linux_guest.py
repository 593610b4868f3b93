"""Linux guests on real kernels: the bugs that CR-016 is for, and guests that go wrong. Minutes when cold."""

import json
import subprocess
from pathlib import Path

import pytest
from command import ccsight

from ccsight.deadline import Deadline
from ccsight.evidence.linux import CLIDR, LOWERED, OVERRIDE, SYSFS
from ccsight.evidence.run import find_run
from ccsight.kernels.spec import resolve
from ccsight.kvm.linux_guests import promised
from ccsight.machines.model import BootOrder
from ccsight.machines.registry import machine
from ccsight.probes import build, linux
from ccsight.probes.linux_stream import host_leaves, told
from ccsight.probes.linux_tree import linux_tree
from ccsight.probes.runner import placed

pytestmark = [pytest.mark.emulated, pytest.mark.long]

SUITES = Path(__file__).parents[2]
NORMALISED = f"deb-src:6.1,patch={SUITES}/normalisation/normalised-6.1.patch,name=normalised"
WIPES = f"deb-src:6.12,patch={SUITES}/control/CR-004-reset-wipes-clidr.patch,name=wipes"
NATIVE = "deb-src:6.1"


def captured(kernel, on, folder):
    """Return how ``ccsight capture --linux`` ended, its CR-016, and the guests by their device trees."""
    said = ccsight(
        "capture", kernel, "--on", on, "--linux", "--fuzz", "0", "--json", cwd=folder, seconds=1500
    )
    run = find_run(folder / "results")
    (cell,) = run.plan.cells
    (shown,) = json.loads(said.stdout)["machines"]
    (case,) = [case for case in shown["laws"] if case["check"] == "CR-016"]
    return said, case, {guest.device_tree: guest for guest in run.capture(cell).linux}


def names(guest):
    return [cpu.leaves and [leaf.name for leaf in cpu.leaves] for cpu in guest.cpus]


def test_a_device_tree_of_the_hosts_sysfs_costs_all_caches(tmp_path):
    """Firecracker PR 5780: the guest counts two caches in its device tree, and cannot place the second."""
    said, case, guests = captured(NORMALISED, "emulated:neoverse-n1", tmp_path)
    assert said.code == 0, said.stderr
    assert names(guests[CLIDR]) == [["L1I", "L2"]] * 2
    assert names(guests[SYSFS]) == [None, None]
    assert any("Unable to detect cache hierarchy" in message for message in guests[SYSFS].messages)
    assert names(guests[OVERRIDE]) == [["L1D", "L1I"]] * 2
    assert case["status"] == "PASS"
    *first, third = case["findings"]
    assert [(each["subject"], each["where"]) for each in first] == [
        ("/sys/devices/system/cpu/cpu*/cache", f"vCPU {vcpu}, device tree: {SYSFS}") for vcpu in (0, 1)
    ]
    assert all("Firecracker PR 5780" in finding["known"] for finding in first)
    assert (third["subject"], third["where"]) == ("CTR_EL0.IDC", f"device tree: {LOWERED}")
    assert "2843cae26644" in third["known"]


def test_an_override_that_secondaries_lose_costs_their_caches(tmp_path):
    """Firecracker issue 6139, seeded into 6.12: the guest has no scheduler domains at all then."""
    said, case, guests = captured(WIPES, "emulated:neoverse-n1", tmp_path)
    assert said.code == 1, said.stderr
    assert guests[OVERRIDE].clidr_end == (0x1000003, 0x2000021)
    assert names(guests[OVERRIDE]) == [["L1D", "L1I"], ["L1I"]]
    assert case["status"] == "FAIL"
    held = {(finding["subject"], finding["where"]) for finding in case["findings"] if not finding["known"]}
    first, second = (f"vCPU {vcpu}, device tree: {OVERRIDE}" for vcpu in (0, 1))
    assert held == {
        ("CLIDR_EL1", second),
        ("/sys/devices/system/cpu/cpu*/cache", second),
        ("/sys/kernel/debug/sched/domains", first),
        ("/sys/kernel/debug/sched/domains", second),
    }
    assert [bool(cpu.domains) for cpu in guests[OVERRIDE].cpus] == [False, False]
    assert all(cpu.domains for way in (CLIDR, SYSFS) for cpu in guests[way].cpus)
    assert any("topology.c" in message for message in guests[OVERRIDE].messages)
    assert guests[CLIDR].lscpu.startswith("NAME ONE-SIZE ALL-SIZE")


def test_a_native_kernel_takes_no_override_and_shows_the_cpus_caches(tmp_path):
    said, case, guests = captured(NATIVE, "emulated:cortex-a57", tmp_path)
    assert said.code == 0, said.stderr
    assert names(guests[CLIDR]) == [["L1D", "L1I", "L2"]] * 2
    assert [leaf.size for leaf in guests[CLIDR].cpus[1].leaves] == [32 << 10, 48 << 10, 2 << 20]
    assert case["status"] == "PASS"


def test_a_lowered_ctr_leaves_a_guest_with_idc(tmp_path):
    """KVM leaves CLIDR_EL1 as it fabricated it for the host's CTR_EL0 (suites/linux/README.md)."""
    said, case, guests = captured("deb-src:6.12", "emulated:neoverse-v1", tmp_path)
    assert said.code == 0, said.stderr
    assert promised(guests[CLIDR]) == {"IDC": 1, "DIC": 1}
    assert promised(guests[LOWERED]) == {"IDC": 1, "DIC": 0}
    assert (guests[LOWERED].ctr, guests[LOWERED].clidr_end) == (0x8444C004, (0x1000004,) * 2)
    (finding,) = [each for each in case["findings"] if each["subject"] == "CTR_EL0.IDC"]
    assert "2843cae26644" in finding["known"]
    assert case["status"] == "PASS"


@pytest.fixture(scope="module")
def host(tmp_path_factory):
    """A booted machine with the probe on it, and its kernel."""
    kernel = resolve("deb-src:6.12", Deadline(1500), print)
    console = tmp_path_factory.mktemp("linux") / "console.log"
    on = machine("emulated:neoverse-n1")
    with on.boot(BootOrder(kernel, console, guest_image=True), Deadline(120), print) as booted:
        with placed(booted.host, build.built(Deadline(120)), Deadline(60), lambda name, raw: None) as probe:
            yield booted, probe


#: The first program of a guest that goes wrong, how that ends, with which words, after how many seconds.
SAYS = 'int log = open("/dev/kmsg", O_WRONLY);'
WRONG = {
    "it ends, so its kernel panics": ("return 1;", "reset", "Attempted to kill init", 60),
    "it does nothing": ("for (;;) pause();", "guest-does-not-end", "", 10),
    "it floods": (f'{SAYS} for (;;) write(log, "<1>ccsight: x\\n", 14);', "guest-says-too-much", "", 60),
    "it floods otherwise": (f'{SAYS} for (;;) write(log, "<1>hello\\n", 9);', "guest-says-too-much", "", 60),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_guest_that_goes_wrong_ends_and_its_end_is_told(host, tmp_path, wrong):
    booted, probe = host
    code, end, words, seconds = WRONG[wrong]
    source = f"#include <fcntl.h>\n#include <unistd.h>\nint main(void) {{ {code} }}\n"
    (tmp_path / "init.c").write_text(source)
    compiler = ["aarch64-linux-gnu-gcc", "-static", "-Os", "-o", "init", "init.c"]
    subprocess.run(compiler, cwd=tmp_path, check=True, timeout=60)
    packed = linux.initrd((tmp_path / "init").read_bytes())
    tree = linux_tree(2, host_leaves(probe.caches(Deadline(20))), len(packed))
    linux.place(probe, None, {linux.INITRD: packed, "0.dtb": tree}, Deadline(60))
    arguments = [booted.image, linux.INITRD, "0.dtb", "2", f"{seconds}"]
    found = told(probe.linux("wrong", arguments, Deadline(120)), 2)
    assert (found.end, found.cpus) == (end, ())
    assert any(words in line for line in found.console)
