"""CR-017: which lines of a console are splats, and what they mean for a kernel."""

import itertools
from pathlib import Path

import msgspec
import pytest
from recorded import capture

from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.evidence.model import Substrate
from ccsight.kvm.splats import KINDS, Fault, excuse, kind_of, splats
from ccsight.machines.console import observed
from ccsight.status import Status

WARN = """\
[    1.883101] ------------[ cut here ]------------
[    1.883882] WARNING: CPU: 1 PID: 1 at arch/arm64/kvm/sys_regs.c:1234 access_ccsidr+0x14/0x44
[    1.884033] Modules linked in:
[    1.886087] Call trace:
[    1.886206]  access_ccsidr+0x14/0x44
[    1.886310] ---[ end trace 0000000000000000 ]---
[    1.886400] virtio_blk virtio1: 2/0/0 default/read/poll queues
"""
MSI = """\
[    1.883882] WARNING: CPU: 1 PID: 1 at include/linux/msi.h:219 pci_msi_setup_msi_irqs.isra.0+0x14/0x44
[    1.886310] ---[ end trace e2f8c9f1a2b3c4d5 ]---
[    1.939265] WARNING: CPU: 1 PID: 1 at include/linux/msi.h:225 free_msi_irqs+0xbc/0x190
[    1.939300] ---[ end trace e2f8c9f1a2b3c4d6 ]---
"""
OOPS = """\
[    6.768889][   T12] Unable to handle kernel NULL pointer dereference at virtual address 0000000000000010
[    6.768900][   T12] Mem abort info:
[    6.770102][   T12] Internal error: Oops: 0000000096000004 [#1] SMP
[    6.770200][   T12] ---[ end trace 0000000000000000 ]---
"""
STALL = """\
[   21.288313] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:
[   21.288877] rcu:     0-...0: (5 ticks this GP) idle=04cc/1/0x4000000000000000 softirq=38/44 fqs=2579
[   31.293601] rcu: rcu_preempt kthread starved for 2503 jiffies! g-1139 f0x0 RCU_GP_WAIT_FQS(5) ->state=0x402
"""
#: What kernels print about themselves that only sounds alarming.
HARMLESS = (
    "Kernel command line: console=ttyAMA0 panic=-1 cryptomgr.notests",
    "rcu: \tRCU restricting CPUs from NR_CPUS=512 to nr_cpu_ids=2.",
    "debug: bug reporting is on",
    "kvm [1]: HYP mode not available",
    "ccsight: module loaded; WARNING lights are off",
    "DEBUG: nothing",
)


def seen(text, tmp_path):
    (tmp_path / "console.log").write_text(text)
    return observed(tmp_path / "console.log", "consoles/cell-1.log")


def verdict(console, **machine):
    real = capture("neoverse-n1", "6.12")
    facts = msgspec.structs.replace(real.machine, **machine)
    bent = msgspec.structs.replace(real, console=console, machine=facts)
    return judge(PlannedCase(check="CR-017", cells=(bent.cell.id,)), (bent,))


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_each_kind_is_told_by_a_line_that_was_really_printed(kind, tmp_path):
    assert kind_of(kind.sample) == kind
    console = seen(f"[    0.1] all is well\n[    1.5][  T426] {kind.sample}\n", tmp_path)
    assert [(splat.kind, splat.line, splat.text) for splat in console.splats] == [
        (kind.name, 2, (kind.sample,))
    ]
    assert verdict(console, substrate=Substrate.METAL).status is Status.FAIL
    emulated = Status.PASS if kind.fault is Fault.CLOCK else Status.FAIL
    known = kind.name == "WARN"  # its sample is from a boot of ours, where it is known
    assert verdict(console).status is (Status.PASS if known else emulated)


def test_the_names_are_distinct():
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize("line", HARMLESS)
def test_what_is_no_complaint_is_none(line):
    assert kind_of(line) is None


def test_a_warn_fails_with_its_first_lines_and_its_place(tmp_path):
    case = verdict(seen(WARN, tmp_path))
    (finding,) = case.findings
    assert case.status is Status.FAIL
    assert (finding.subject, finding.where) == ("WARN", "consoles/cell-1.log:2")
    assert finding.said.startswith("WARNING: CPU: 1 PID: 1 at arch/arm64/kvm/sys_regs.c:1234 access_ccsidr")
    assert "virtio_blk" not in "".join(splats(enumerate(WARN.splitlines(), 1))[0].text)


def test_one_disaster_is_one_splat_and_two_warnings_are_two(tmp_path):
    assert [splat.kind for splat in seen(OOPS, tmp_path).splats] == ["bad access"]
    assert [splat.line for splat in seen(WARN + WARN, tmp_path).splats] == [2, 9]


def test_complaints_without_an_end_are_one_each_but_for_one_slow_moment():
    """A clock's complaint that goes on is one; another kind of it is another, and so is a second WARN."""
    samples = {kind.name: kind.sample for kind in KINDS}
    warn, stall, hung = samples["WARN"], samples["rcu stall"], samples["hung task"]

    def told(*lines):
        return [(splat.kind, splat.line) for splat in splats(enumerate(lines, 1))]

    assert told(warn, warn) == [("WARN", 1), ("WARN", 2)]
    assert told(stall, stall) == [("rcu stall", 1)]
    assert told(stall, hung) == [("rcu stall", 1), ("hung task", 2)]


def test_slowness_does_not_hide_an_oops(tmp_path):
    case = verdict(seen(STALL + OOPS, tmp_path))
    assert case.status is Status.FAIL
    assert [(finding.subject, bool(finding.known)) for finding in case.findings] == [
        ("rcu stall", True),
        ("bad access", False),
    ]


def test_the_board_without_msi_is_known_and_nothing_that_resembles_it(tmp_path):
    case = verdict(seen(MSI, tmp_path))
    assert (case.status, len(case.findings)) == (Status.PASS, 2)
    assert all("no MSI controller" in finding.known for finding in case.findings)
    other = MSI.replace("free_msi_irqs", "kvm_reset_sys_regs").replace("pci_msi", "pci_xyz")
    assert verdict(seen(other, tmp_path)).status is Status.FAIL
    assert excuse(seen(MSI, tmp_path).splats[0], Substrate.METAL) == ""
    assert "" in {excuse(splat, Substrate.EMULATED) for splat in seen(other, tmp_path).splats}


def test_a_clean_console_must_have_been_read(tmp_path):
    assert verdict(seen("[    0.0] Booting Linux\n", tmp_path)).status is Status.PASS
    for console in (None, seen("", tmp_path), seen("\n\n", tmp_path), observed(tmp_path / "absent", "x")):
        case = verdict(console)
        assert case.status is Status.MISS
        assert case.reason


@pytest.mark.parametrize("word", ["quiet", "loglevel=0", "loglevel=4"])
def test_a_console_that_shows_no_warnings_proves_nothing(word, tmp_path):
    clean = seen("[    0.0] Booting Linux\n", tmp_path)
    case = verdict(clean, command_line=f"console=ttyAMA0 {word} panic=-1")
    assert case.status is Status.MISS
    assert word in case.reason
    assert verdict(clean, command_line="console=ttyAMA0 loglevel=7 x.quietly=1").status is Status.PASS


def test_what_is_kept_is_bounded(tmp_path):
    console = seen((WARN.replace("Call trace:\n", "x" * 5000 + "\n" + "call\n" * 40)) * 50, tmp_path)
    assert len(console.splats) == 32
    assert max(len(splat.text) for splat in console.splats) == 16
    assert max(map(len, itertools.chain.from_iterable(splat.text for splat in console.splats))) <= 1000
    assert console.lines == sum(bool(line) for line in Path(tmp_path / "console.log").read_text().split("\n"))


def test_control_characters_of_a_console_are_not_kept(tmp_path):
    console = seen(f"\x1b[31m{OOPS.splitlines()[0]}\x1b[0m\x07\r\n", tmp_path)
    assert console.splats[0].text == (OOPS.splitlines()[0].partition("] ")[2],)
