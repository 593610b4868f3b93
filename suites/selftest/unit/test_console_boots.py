"""Which part of a messy console is one boot of ours, and what CR-017 makes of it."""

import msgspec
import pytest
from recorded import capture

from ccsight.checks import judge
from ccsight.evidence.cases import PlannedCase
from ccsight.machines.console import GAP, last_words, observed, panic, plain
from ccsight.machines.console_boots import _ENDS, keep, of_boot
from ccsight.status import Status

MARK = "0123456789abcdef"
OWN = "BOOT_IMAGE=/vmlinuz root=/dev/sda2 console=ttyAMA0"
OURS = f"{OWN} panic=10 ccsight.boot={MARK}"
BEGIN = "[    0.000000] Booting Linux on physical CPU 0x0000000000 [0x413fd0c1]"
BANNER = "[    0.000000] Linux version 6.12.1 (b@h)"
SHUTDOWN = [
    "[ 9123.000001] sd 0:0:0:0: [sda] Synchronizing SCSI cache",
    "[ 9123.100000] reboot: Restarting system",
]
FIRMWARE = [
    "NOTICE:  BL31: v2.10.0(release):",
    "\x1b[2J\x1b[01;01H\x1b[=3h\x1b[2J\x1b[01;01HUEFI firmware (version 2024.02 built at 12:00:00)",
    "BUG: this firmware is not perfect",
    'BdsDxe: starting Boot0001 "debian" from HD(1,GPT,0x800)/\\EFI\\debian\\shimaa64.efi',
    "\x1b[0m\x1b[30m\x1b[47mWelcome to GRUB!",
    "EFI stub: Booting Linux Kernel...",
    "EFI stub: Exiting boot services...",
]
SPLAT = [
    "[    1.883882] WARNING: CPU: 1 PID: 1 at arch/arm64/kvm/sys_regs.c:1234 access_ccsidr+0x14/0x44",
    "[    1.886310] ---[ end trace 0000000000000000 ]---",
]
PANIC = ["[    2.000000] Kernel panic - not syncing: no init", "[    2.000001] Rebooting in 10 seconds.."]


def boot(told: str, *lines: str) -> list[str]:
    return [BEGIN, BANNER, f"[    0.000000] Kernel command line: {told}", *lines]


def console(*parts: list[str], end: str = "\r\n") -> bytes:
    return "".join(line + end for part in parts for line in part).encode("latin-1")


def lines(found: bytes) -> list[str]:
    return [plain(line) for line in found.decode("latin-1").removesuffix("\n").split("\n")]


OURS_UP = boot(OURS, "[    1.0] kvm [1]: VHE mode initialized", "[  OK  ] Started sshd")


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\r", "\r\r\n"])
def test_only_our_boot_is_taken_of_three(end):
    before = boot(OWN, *SPLAT, *SHUTDOWN)
    after = boot(OWN, *SPLAT, "login: ")
    text = console(before, FIRMWARE, OURS_UP, SHUTDOWN, FIRMWARE, after, end=end)
    assert lines(of_boot(text, MARK)) == [*OURS_UP, *SHUTDOWN]


def test_a_console_that_begins_in_the_middle_has_our_boot_all_the_same():
    text = console(["ng SCSI cache", "reboot: Restarting system"], FIRMWARE, OURS_UP)
    assert lines(of_boot(text, MARK)) == OURS_UP


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\n\r\x00\xff\n",
        console(boot(OWN, *SPLAT)),
        console(boot(OURS.replace(MARK, "f" * 16))),
        console(boot(OURS + "0")),
        console([BEGIN, BANNER, f"[    1.0] init: someone said ccsight.boot={MARK}"]),
        console([BEGIN, BANNER]),
    ],
    ids=["nothing", "noise", "own kernel", "another mark", "a longer mark", "not told", "cut off"],
)
def test_what_does_not_show_our_boot_shows_nothing(text):
    assert of_boot(text, MARK) == b""


def test_a_kernel_that_panicked_ends_where_the_next_one_begins_whatever_is_between():
    noise = ["\x00\x00\xff\xfe", "PANIC at PC : 0x000000000e0a5c2c"]
    found = of_boot(console(boot(OURS, *PANIC), ["NOTICE:  BL1: v2.10"], noise, boot(OWN)), MARK)
    assert lines(found) == boot(OURS, *PANIC)
    assert lines(of_boot(console(boot(OURS, *PANIC), boot(OWN)), MARK)) == boot(OURS, *PANIC)


def test_what_moves_a_terminal_hides_no_line():
    odd = [
        f"\x1b[0m\x1b]0;title\x07{BEGIN[:20]}\x1b[1;31m{BEGIN[20:]}\x1b(B",
        f"\x1b7[    0.000000] Kernel command line: {OURS}\x1b8",
        f"\x1b[!p\x1bc{SPLAT[0]}",
    ]
    found = of_boot(console(odd), MARK)
    assert lines(found) == [BEGIN, f"[    0.000000] Kernel command line: {OURS}", SPLAT[0]]


def test_the_next_kernel_may_begin_on_the_line_on_which_firmware_stopped():
    text = console(["EFI stub: Exiting boot serv" + BEGIN, *OURS_UP[1:]])
    assert lines(of_boot(text, MARK))[1:] == OURS_UP[1:]


def test_a_long_command_line_may_take_several_lines():
    told = [f"[    0.000000] Kernel command line: {part}" for part in ("quiet=no \\", "x=1 \\", OURS)]
    found = of_boot(console([BEGIN, BANNER, *told, *SPLAT], boot(OWN)), MARK)
    assert lines(found) == [BEGIN, BANNER, *told, *SPLAT]
    assert of_boot(console([BEGIN, f"Kernel command line: {'x' * 2000} {OURS}"]), MARK)


def test_a_program_that_prints_the_log_begins_no_boot():
    again = [f"[    0.000000] Kernel command line: {OURS}", *SPLAT]
    found = lines(of_boot(console(OURS_UP, again), MARK))
    assert found == [*OURS_UP, *again]


def test_a_boot_whose_beginning_is_lost_begins_with_a_gap():
    told = f"[    0.000000] Kernel command line: {OURS}"
    assert lines(of_boot(console([told, "on"]), MARK)) == [GAP, told, "on"]
    assert lines(of_boot(console(boot(OWN), ["odd", told, "on"]), MARK)) == [GAP, told, "on"]


@pytest.mark.parametrize("row", _ENDS, ids=lambda row: row.sample[:20])
def test_every_row_finds_its_own_line_and_none_is_a_line_of_a_boot(row):
    assert row.words.search(row.sample)
    said = (*OURS_UP, *SPLAT, *PANIC, "[    1.0] psci: PSCIv1.1 detected in firmware.")
    assert not [line for line in said if row.words.search(line)]


def verdict(text: bytes, tmp_path) -> tuple[Status, str]:
    """Return what CR-017 says of a machine's console after our boot."""
    (tmp_path / "whole.log").write_bytes(text)
    shown = keep(tmp_path / "whole.log", MARK, tmp_path / "boot.log")
    assert shown is (tmp_path / "boot.log").exists()
    seen = observed(tmp_path / "boot.log", "consoles/cell-1.log")
    real = msgspec.structs.replace(capture("neoverse-n1", "6.12"), console=seen)
    case = judge(PlannedCase(check="CR-017", cells=(real.cell.id,)), (real,))
    return case.status, case.reason


def test_a_splat_of_another_kernel_is_nobodys(tmp_path):
    text = console(boot(OWN, *SPLAT, *SHUTDOWN), FIRMWARE, OURS_UP, boot(OWN, *SPLAT))
    assert verdict(text, tmp_path)[0] is Status.PASS


def test_a_splat_of_ours_is_held_against_it(tmp_path):
    assert verdict(console(OURS_UP, SPLAT, boot(OWN)), tmp_path)[0] is Status.FAIL


def test_a_console_without_our_boot_is_missed(tmp_path):
    status, why = verdict(console(boot(OWN)), tmp_path)
    assert (status, "is empty" in why) == (Status.MISS, True)
    assert not keep(tmp_path / "there is none", MARK, tmp_path / "other")


@pytest.mark.parametrize(
    ("more", "status"), [([], Status.MISS), (SPLAT, Status.FAIL)], ids=["clean", "splat"]
)
def test_nothing_passes_of_which_a_part_was_not_heard(tmp_path, more, status):
    assert verdict(console(OURS_UP, [GAP], more), tmp_path)[0] is status


def test_a_gap_before_or_after_our_boot_is_of_no_account(tmp_path):
    assert verdict(console(boot(OWN), [GAP], OURS_UP, boot(OWN), [GAP]), tmp_path)[0] is Status.PASS


def test_a_gap_while_firmware_speaks_is_of_none_either(tmp_path):
    assert verdict(console([GAP], OURS_UP, SHUTDOWN, [GAP], FIRMWARE), tmp_path)[0] is Status.PASS


def test_the_first_words_are_those_of_the_panic(tmp_path):
    (tmp_path / "whole.log").write_bytes(console(FIRMWARE, boot(OURS, *PANIC), FIRMWARE, boot(OWN)))
    keep(tmp_path / "whole.log", MARK, tmp_path / "boot.log")
    assert panic(tmp_path / "boot.log") == "no init"
    assert "Kernel panic - not syncing: no init" in last_words(tmp_path / "boot.log")
