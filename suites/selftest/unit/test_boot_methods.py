"""Which machines a boot method refuses, each for its reason; and what a kernel there is told."""

import re
import stat

import pytest
from test_machines_check import said

from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.machines import equipment, inventory, inventory_rows
from ccsight.machines.local import LocalHost
from ccsight.machines.methods import grub
from ccsight.machines.methods.model import Staged
from ccsight.machines.methods.table import METHODS
from ccsight.machines.root import Root, RootFailed
from ccsight.machines.staging import command_line
from ccsight.machines.way import Way
from ccsight.process import ProcessFailed


def found(**changes):
    return equipment.parse(said(**changes), "m")


def entry(more="boot-command = ['true']"):
    return inventory.read(f"[m]\naddress = 'm'\n{more}\n", "machines.toml")["m"]


def refused(name, **changes):
    return METHODS[name](entry()).refuses(found(**changes))


def test_the_inventory_knows_the_methods_that_there_are():
    assert tuple(METHODS) == inventory_rows.METHODS
    assert [make(entry()).name for make in METHODS.values()] == [*METHODS]


@pytest.mark.parametrize("name", METHODS)
def test_a_machine_that_has_it_all_is_not_refused(name):
    assert refused(name) == ""


@pytest.mark.parametrize("name", [name for name in METHODS if name != "command"])
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"secure_boot": "1"}, "Secure Boot is on"),
        ({"lockdown": "none [integrity] confidentiality"}, "its kernel is locked down: integrity"),
    ],
)
def test_a_machine_that_runs_signed_kernels_only_is_refused(name, changes, why):
    assert refused(name, **changes) == why


@pytest.mark.parametrize(
    ("name", "changes", "why"),
    [
        ("kexec", {"command_line": "quiet kvm-arm.mode=protected"}, "protected mode"),
        ("kexec", {"kexec": None}, "CONFIG_KEXEC"),
        ("kexec", {"kexec": "1"}, "kexec_load_disabled"),
        ("kexec", {"kexec_program": None}, "apt-get install kexec-tools"),
        ("grub", {"grub": None}, "no /boot/grub/grub.cfg"),
        ("grub", {"grub_reboot": None}, "no grub-reboot"),
        ("grub", {"grub_one_shot": None}, "no one-shot entry"),
        ("grub", {"grub_custom": None}, "41_custom"),
        ("grub", {"grub_beneath": "lvm"}, "lies on lvm, .*for ever"),
        ("grub", {"grub_beneath": "diskfilter mdraid1x"}, "for ever"),
        ("grub", {"grub_fs": "btrfs"}, "of the kind btrfs, .*for ever"),
        ("grub", {"grub_fs": None}, "of the kind unknown, .*for ever"),
        ("efi", {"efi": None}, "no EFI variables"),
        ("efi", {"efibootmgr": None}, "apt-get install efibootmgr"),
        ("efi", {"esp": None}, "not mounted"),
        ("systemd-boot", {"efi": None}, "no EFI variables"),
        ("systemd-boot", {"loader": None}, "not started by systemd-boot but by something else"),
        ("systemd-boot", {"bootctl": None}, "no bootctl"),
        ("extlinux", {"extlinux": None}, "no /boot/extlinux/extlinux.conf"),
        ("extlinux", {"extlinux_overlays": "there"}, "overlays"),
        ("extlinux", {"fw_setenv": None}, "apt-get install libubootenv-tool"),
        ("extlinux", {"fw_config": None}, "no /etc/fw_env.config"),
        ("extlinux", {"fw_error": "Bad CRC, using default environment"}, "cannot be read .Bad CRC"),
        ("extlinux", {"fw_bootcmd": None}, "no bootcmd"),
        ("extlinux", {"fw_closed": "/dev/mtd0"}, "cannot be written: /dev/mtd0"),
        ("extlinux", {"boot_place": None}, "something unknown"),
        ("extlinux", {"boot_place": "dm-0 ext4 /"}, "lies on dm-0"),
        ("extlinux", {"boot_place": "mmcblk0 ext4 /"}, "lies on mmcblk0,"),
        ("extlinux", {"boot_place": "nvme0n1p2 btrfs /@"}, "of the kind btrfs"),
        ("extlinux", {"boot_place": "sda2 ext4 /other"}, "lies below /other there"),
    ],
)
def test_a_machine_that_could_be_lost_is_refused(name, changes, why):
    assert re.search(why, refused(name, **changes))


def test_a_command_that_the_entry_does_not_name():
    assert METHODS["command"](entry("boot = 'command'")).refuses(found()) == "its entry has no boot-command"


@pytest.mark.parametrize(("row", "why"), [("", "has no boot = METHOD"), ("boot = 'kexec'", None)])
def test_a_way_is_one_of_the_methods(row, why):
    way = Way(entry(row))
    if why is None:
        assert way.method.name == "kexec"
        return
    with pytest.raises(UsageError, match=why):
        _ = way.method


def test_a_kernel_is_told_what_the_machines_own_one_is():
    own = "BOOT_IMAGE=/boot/vmlinuz root=UUID=1-2 ro quiet panic=0 initrd=\\EFI\\x ccsight.boot=old"
    told = command_line(found(command_line=own), "beef", 90, ("kvm-arm.mode=nvhe", "debug"))
    assert " ".join(told) == (
        "ccsight.boot=beef root=UUID=1-2 ro quiet panic=10 ccsight.patience=90 systemd.watchdog_sec=60 "
        "kvm-arm.mode=nvhe debug"
    )
    assert "systemd.watchdog_sec=60" not in command_line(found(watchdog_file=None), "beef", 90)


@pytest.mark.parametrize("word", ["it's", 'dyndbg="file', "a\\b", "$root", "`id`"])
@pytest.mark.parametrize("where", ["own", "append"])
def test_what_no_boot_loader_can_be_told_is_refused(word, where):
    own, more = (f"ro {word}", ()) if where == "own" else ("ro", (word,))
    with pytest.raises(UsageError, match="cannot be handed to a boot loader"):
        command_line(found(command_line=own), "beef", 90, more)


STAGED = Staged("/boot/ccsight", ("ro", "panic=10"))
HERE = Root("m", LocalHost())


def test_a_script_of_roots_ends_with_the_first_command_that_fails():
    assert HERE.run("counting", 'echo "$1$2"', "a b", "c", deadline=Deadline(20)) == "a bc\n"
    with pytest.raises(RootFailed, match="m: counting failed") as failed:
        HERE.run("counting", "echo one >&2; false; echo two", deadline=Deadline(20))
    assert failed.value.evidence == "one"
    assert "nothing boots by it" in failed.value.next_step


@pytest.fixture
def boot(tmp_path, monkeypatch):
    """A /boot/grub with GRUB's programs beside it, of which one knows a choice: the file ``next``."""
    programs = {
        "grub-editenv": f"""
case $2 in
list) [ ! -e {tmp_path}/next ] || echo "next_entry=$(cat {tmp_path}/next)" ;;
unset) rm {tmp_path}/next ;;
esac""",
        "grub-reboot": f'printf %s "$1" >{tmp_path}/next',
        "grub-probe": "echo 12-34",
        "grub-mkrelpath": 'echo "/rel$1"',
        "sync": "",
        "systemctl": f'echo "$@" >>{tmp_path}/began',
    }
    for name, text in programs.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    for name in ("_FILE", "_START", "_CLEAN"):
        monkeypatch.setattr(grub, name, getattr(grub, name).replace("/boot/grub", str(tmp_path)))
    (tmp_path / "grubenv").touch()
    return tmp_path


@pytest.mark.parametrize("before", ["", "menuentry 'theirs' {\n}\n"])
def test_grubs_entry_comes_and_goes_and_all_else_stays(boot, before):
    custom = boot / "custom.cfg"
    if before:
        custom.write_text(before)
    grub.Grub().start(HERE, STAGED, Deadline(20))
    said = custom.read_text()
    assert said.startswith(before)
    assert "linux /rel/boot/ccsight/Image 'ro' 'panic=10'" in said
    assert "search --no-floppy --fs-uuid --set=root 12-34" in said
    assert (boot / "next").read_text() == "ccsight"
    assert (boot / "began").read_text() == "--no-block reboot\n"
    for _ in range(2):  # cleaning twice is as cleaning once
        grub.Grub().clean(HERE, Deadline(20))
        assert not (boot / "next").exists()
        assert (custom.read_text() if custom.exists() else "") == before


def test_a_choice_of_somebody_elses_stays(boot):
    (boot / "next").write_text("theirs")
    grub.Grub().clean(HERE, Deadline(20))
    assert (boot / "next").read_text() == "theirs"


def test_a_command_of_ones_own_is_told_what_lies_there(boot):
    program = boot / "boot-server"
    program.write_text(f'#!/bin/sh\nprintf "%s|" "$@" >>{boot}/told\n')
    program.chmod(stat.S_IRWXU)
    method = METHODS["command"](entry(f"boot-command = ['{program}', 'altra']"))
    method.start(HERE, STAGED, Deadline(20))
    method.clean(HERE, Deadline(20))
    told = (boot / "told").read_text()
    assert told == "altra|once|/boot/ccsight/Image|/boot/ccsight/initrd.img|ro panic=10|altra|clean|"
    with pytest.raises(ProcessFailed):
        METHODS["command"](entry("boot-command = ['false']")).start(HERE, STAGED, Deadline(20))
