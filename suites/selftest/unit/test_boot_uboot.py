"""U-Boot's environment: what is written to it, what its shell makes of that, and that nothing is left."""

import os
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ccsight.deadline import Deadline
from ccsight.machines import equipment
from ccsight.machines.local import LocalHost
from ccsight.machines.methods import extlinux
from ccsight.machines.methods.model import Staged
from ccsight.machines.root import Root, RootFailed

HERE = Root("m", LocalHost())
#: What a board may have, with all that U-Boot's shell would lose if it copied it.
OWN = """if test a = "b c"; then setenv x 'y z'; fi; echo it\\;s its own; run distro_bootcmd"""
TOLD = ("ccsight.boot=beef", "root=UUID=1-2", "a=1;2&3", "panic=10")
#: fw_printenv(8) and fw_setenv(8), with a file for each variable in ENV; BROKEN is one that is not kept.
PROGRAMS = {
    "fw_printenv": """cd ENV || exit 1
case ${1-} in
-n) [ -e "$2" ] && cat "$2" ;;
*) for each in *; do echo "$each=$(cat "$each")"; done ;;
esac""",
    "fw_setenv": """cd ENV || exit 1
keep() {
	echo "$1" >>../written
	[ "$1" = "${BROKEN-}" ] || if [ "$2" ]; then printf %s "$2" >"$1"; else rm -f "$1"; fi
}
case $1 in
-s) while IFS= read -r line; do keep "${line%%=*}" "$(printf %s "${line#*=}" | head -c 1000)"; done ;;
*) keep "$1" "$2" ;;
esac""",
    "findmnt": """case "$*" in
*MAJ:MIN*) echo 1:2 ;;
*TARGET*) cat TOP ;;
*) echo "ext4 /" ;;
esac""",
    "blockdev": """case $2 in
/dev/zero) echo 1 ;;
*) echo 0 ;;
esac""",
    "sync": "",
    "systemctl": 'echo "$@" >>BEGAN',
}
#: U-Boot, as far as it goes here: its shell is a usual one for what we have it do. FILES names all files that
#: there are, and where; ../bad has no kernel start, and ../keeps-nothing nothing be saved.
U_BOOT = """cd ENV
for each in *; do eval "$each=\\$(cat \\$each)"; done
fdt_addr_r=f kernel_addr_r=k ramdisk_addr_r=r
run() { eval "$(eval echo "\\"\\$$1\\"")"; }
setenv() { name=$1; shift; eval "$name=\\$*"; }
saveenv() {
	[ ! -e ../keeps-nothing ] || return 1
	[ "$ccsight_once" ] || rm -f ccsight_once
	[ ! -e ../sets ] || { echo 0x7b00 >fdt_addr; echo usb >stdout; rm -f preboot; }
}
test() {
	case $1 in
	-e) grep -qxF "$2 $3 $4" FILES ;;
	*) [ "$@" ] ;;
	esac
}
load() { filesize=7; grep -qxF "$1 $2 $4" FILES; }
for each in nvme pci scsi usb virtio; do eval "$each() { echo $each \\$*; }"; done
booti() { echo "ours $*: $bootargs"; [ -e ../bad ] || exit 0; }
reset() { echo reset; exit 0; }
distro_bootcmd='echo own; exit 0'
run bootcmd
"""


class Board:
    """A machine with U-Boot, of which there are only the files that matter."""

    def __init__(self, folder):
        self.folder = folder
        self.env = folder / "env"
        self.staged = Staged(str(folder / "boot/ccsight"), TOLD)
        for place in ("env", "boot/ccsight", "boot/extlinux"):
            (folder / place).mkdir(parents=True)
        (folder / "config").touch()
        (folder / "boot/extlinux/extlinux.conf").write_text("label a\nlinux /vmlinuz\n")
        self.set(bootcmd=OWN, fdtcontroladdr="own")
        self.lies("mmcblk1p12", "boot")

    def set(self, **variables):
        for name, value in variables.items():
            (self.env / name).write_text(value)

    def said(self):
        return {path.name: path.read_text() for path in self.env.iterdir()}

    def lies(self, disk, top=""):
        """Have /boot lie on a disk, with a file system of its own or not."""
        place = self.folder / "devices" / disk
        place.mkdir(parents=True, exist_ok=True)
        (place / "partition").write_text(disk.rpartition("p")[2] if "p" in disk else disk[-1])
        (self.folder / "1:2").unlink(missing_ok=True)
        (self.folder / "1:2").symlink_to(place)
        (self.folder / "top").write_text(str(self.folder / top))

    def written(self):
        record = self.folder / "written"
        return record.read_text().split() if record.exists() else []

    def start(self):
        extlinux.Extlinux().start(HERE, self.staged, Deadline(20))

    def clean(self):
        extlinux.Extlinux().clean(HERE, Deadline(20))

    def files(self, *places, on="mmc 1:c"):
        lines = "".join(f"{on} {place}\n" for place in places)
        (self.folder / "files").write_text(lines)

    def boots(self):
        """Turn it on, and return what U-Boot says."""
        script = U_BOOT.replace("FILES", shlex.quote(str(self.folder / "files")))
        argv = ["sh", "-c", script.replace("ENV", shlex.quote(str(self.env)))]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        assert not done.stderr
        return done.stdout.splitlines()


FILES = ("/ccsight/beef", "/ccsight/Image", "/ccsight/initrd.img")


def write(path, text, instead):
    """Write a script that finds these other things in their places."""
    for word, place in instead.items():
        text = text.replace(word, str(place))
    path.write_text(text)
    return path


@pytest.fixture
def board(tmp_path, monkeypatch):
    board = Board(tmp_path)
    programs = tmp_path / "bin"
    programs.mkdir()
    places = {"ENV": board.env, "TOP": tmp_path / "top", "BEGAN": tmp_path / "began"}
    for name, text in PROGRAMS.items():
        write(programs / name, f"#!/bin/sh\n{text}\n", places).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    moved = {
        "/boot/extlinux": tmp_path / "boot/extlinux",
        "/sys/dev/block": tmp_path,
        "/etc/fw_env.config": tmp_path / "config",
        "/run/ccsight-u-boot": tmp_path / "lock",
        "/var/lib/ccsight/u-boot": tmp_path / "kept/u-boot",
    }
    for module in (extlinux, equipment):
        name = f"{module.__name__}.sh"
        script = Path(module.__file__).with_suffix(".sh").read_text()
        monkeypatch.setattr(module, "_SCRIPT", write(tmp_path / name, script, moved))
    board.files(*FILES)
    return board


def test_the_next_boot_is_ours_and_the_one_after_that_is_not(board):
    board.start()
    assert (board.folder / "began").read_text() == "--no-block reboot\n"
    assert (board.folder / "boot/ccsight/beef").exists()
    assert board.boots() == ["ours k r:7 own: ccsight.boot=beef root=UUID=1-2 a=1;2&3 panic=10"]
    for _ in range(2):
        assert board.boots() == ["it;s its own", "own"]


def test_cleaning_leaves_what_was_there_bit_by_bit(board):
    before = board.said()
    board.start()
    assert board.said()["ccsight_bootcmd"] == OWN
    for _ in range(2):  # cleaning twice is as cleaning once
        board.clean()
        assert board.said() == before
    assert {*board.written()} <= {"bootcmd"} | {name for name in board.written() if name[:8] == "ccsight_"}


def test_an_environment_without_anything_of_ours_is_not_written(board):
    board.clean()
    assert board.written() == []
    (board.folder / "config").unlink()
    board.clean()
    assert board.written() == []


def test_a_bootcmd_that_somebody_has_set_since_stays(board):
    board.start()
    board.set(bootcmd="run theirs")
    board.clean()
    assert board.said() == {"bootcmd": "run theirs", "fdtcontroladdr": "own"}


def test_what_u_boot_saved_of_its_own_is_taken_back(board):
    """It saves all that it has set at its start: an address that was right in that boot only, say."""
    board.set(stdout="serial", preboot="usb start")
    before = board.said()
    board.start()
    (board.folder / "sets").touch()
    assert board.boots()[0].startswith("ours")
    assert {*board.said()} >= {"fdt_addr"}
    assert board.said()["stdout"] == "usb\n"
    board.clean()
    assert board.said() == before
    assert not [*(board.folder / "kept").iterdir()]


def test_a_record_that_a_power_cut_emptied_takes_nothing_away(board):
    board.start()
    (board.folder / "kept/u-boot").write_text("")
    board.clean()
    assert board.said() == {"bootcmd": OWN, "fdtcontroladdr": "own"}


def test_what_others_may_have_set_since_stays(board):
    board.start()
    record = board.folder / "kept/u-boot"
    os.utime(record, (0, record.stat().st_mtime - 3 * 3600))
    board.set(theirs="kept")
    board.clean()
    assert board.said() == {"bootcmd": OWN, "fdtcontroladdr": "own", "theirs": "kept"}


@pytest.mark.parametrize("program", ["echo no flash >&2; exit 1", "echo Bad CRC >&2; echo bootcmd=x"])
def test_an_environment_that_cannot_be_read_is_left_alone(board, program):
    """Least of all is it one without anything of ours."""
    board.start()
    left, reads = board.said(), (board.folder / "bin/fw_printenv").read_text()
    (board.folder / "bin/fw_printenv").write_text(f"#!/bin/sh\n{program}\n")
    for tried in (board.clean, board.start):
        with pytest.raises(RootFailed) as failed:
            tried()
        assert failed.value.evidence.startswith("U-Boot's environment cannot be read: ")
    assert board.said() == left
    (board.folder / "bin/fw_printenv").write_text(reads)
    board.clean()
    assert board.said() == {"bootcmd": OWN, "fdtcontroladdr": "own"}


def test_cleaning_waits_for_whoever_is_arming(board):
    """A wait that was broken off leaves the script that was begun: what it says last must not come last."""
    before = board.said()
    slow = (board.folder / "bin/fw_setenv").read_text().replace("\n", "\nsleep 0.1\n", 1)
    (board.folder / "bin/fw_setenv").write_text(slow)
    with ThreadPoolExecutor(1) as pool:
        armed = pool.submit(board.start)
        while not (board.env / "ccsight_bootcmd").exists() and not armed.done():
            time.sleep(0.01)
        board.clean()
        armed.result()
    assert board.said() == before


def test_what_another_version_armed_is_cleaned_as_well(board):
    before = board.said()
    board.start()
    hook = board.said()["bootcmd"]
    board.set(bootcmd=hook.replace("run ccsight_boot;", "echo older; run ccsight_boot;"))
    board.clean()
    assert board.said() == before


def test_a_bootcmd_that_was_altered_keeps_what_it_runs(board):
    """Without the variables that it names the machine would boot nothing."""
    board.start()
    board.set(bootcmd=f"echo mine; {board.said()['bootcmd']}")
    left = board.said()
    with pytest.raises(RootFailed) as failed:
        board.clean()
    assert "has been altered" in failed.value.evidence
    assert board.said() == left


@pytest.mark.parametrize(
    "broken", ["ccsight_bootcmd", "ccsight_args", "ccsight_load", "ccsight_once", "bootcmd"]
)
def test_what_does_not_read_back_is_not_booted_and_all_is_as_before(board, broken, monkeypatch):
    before = board.said()
    with monkeypatch.context() as patch:
        patch.setenv("BROKEN", broken)
        with pytest.raises(RootFailed, match="booting by U-Boot") as failed:
            board.start()
    assert failed.value.evidence == f"U-Boot's environment does not keep {broken}"
    assert not (board.folder / "began").exists()
    assert board.boots() == ["it;s its own", "own"]
    board.clean()
    assert board.said() == before


def test_what_an_older_boot_left_is_never_taken_for_its_own(board):
    """U-Boot would run that for ever."""
    board.start()
    left = board.said()
    with pytest.raises(RootFailed) as failed:
        board.start()
    assert "is not the machine's own: if test" in failed.value.evidence
    assert board.said() == left


def test_a_bootcmd_that_is_lost_is_not_taken_away_as_well(board):
    board.start()
    (board.env / "ccsight_bootcmd").unlink()
    left = board.said()
    with pytest.raises(RootFailed) as failed:
        board.clean()
    assert failed.value.evidence
    assert board.said() == left


def test_a_bootcmd_of_any_length_comes_back(board):
    own = f"run {'x' * 3000}"
    board.set(bootcmd=own)
    board.start()
    board.clean()
    assert board.said()["bootcmd"] == own


def test_where_u_boot_cannot_save_it_never_boots_ours(board):
    board.start()
    (board.folder / "keeps-nothing").touch()
    for _ in range(2):
        assert board.boots() == ["it;s its own", "own"]


@pytest.mark.parametrize("gone", FILES)
def test_where_a_file_is_gone_it_goes_its_own_way(board, gone):
    board.start()
    board.files(*(place for place in FILES if place != gone))
    assert board.boots() == ["it;s its own", "own"]


def test_where_booti_comes_back_the_next_boot_is_its_own(board):
    board.start()
    (board.folder / "bad").touch()
    assert board.boots()[1:] == ["reset"]
    assert board.boots() == ["it;s its own", "own"]


@pytest.mark.parametrize(
    ("disk", "where", "before"),
    [
        ("nvme0n1p2", "nvme 3:2", ["pci enum", "nvme scan"]),
        ("vda3", "virtio 0:3", ["virtio scan"]),
        ("sdb1", "scsi 1:1", ["scsi scan"]),
        ("sda1", "usb 0:1", ["scsi scan", "usb start"]),
    ],
)
def test_each_kind_of_disk_is_looked_for_by_its_name(board, disk, where, before):
    board.lies(disk, "boot")
    board.files(*FILES, on=where)
    board.start()
    *first, last = board.boots()
    assert first == before
    assert last.startswith("ours")


def test_a_disk_that_u_boot_has_no_name_for_is_refused_before_anything_is_written(board):
    board.lies("nbd0p1", "boot")
    with pytest.raises(RootFailed) as failed:
        board.start()
    assert failed.value.evidence == "U-Boot has no name for nbd0p1"
    assert board.written() == []


def test_a_boot_that_is_a_folder_of_the_root(board):
    board.lies("mmcblk0p1")
    board.files(*(f"/boot{place}" for place in FILES), on="mmc 0:1")
    board.start()
    assert board.boots()[0].startswith("ours")


OTHERS = "label other\nfdt /other.dtb\n"


@pytest.mark.parametrize(
    ("label", "tree", "taken"),
    [
        ("", None, "own"),
        ("fdt /dtbs/a.dtb", "/dtbs/a.dtb", "f"),
        ("FDT dtbs/a.dtb", "/extlinux/dtbs/a.dtb", "f"),
        ("fdt /dtbs/a.dtb", None, None),
        ("devicetree /dtbs/a.dtb", "/dtbs/a.dtb", "f"),
        ("fdtdir /dtbs/", "/dtbs/rk/b.dtb", "f"),
        ("fdtdir /dtbs", "/dtbs/rk/b.dtb", "f"),
        ("fdtdir /dtbs", None, "own"),
    ],
)
def test_the_device_tree_is_the_one_of_its_own_label(board, label, tree, taken):
    """As U-Boot takes it: one that is named and not there is none; of a folder, it is its own one instead."""
    text = f"default own\n{OTHERS}label own\nlinux /vmlinuz\n{label}\n"
    (board.folder / "boot/extlinux/extlinux.conf").write_text(text)
    board.set(fdtfile="rk/b.dtb")
    board.files(*FILES, "/other.dtb", *([tree] if tree else []))
    board.start()
    if taken is None:
        assert board.boots()[-1] == "own"
    else:
        assert board.boots() == [f"ours k r:7 {taken}: {' '.join(TOLD)}"]


def test_without_a_default_its_own_label_is_the_first_one(board):
    (board.folder / "boot/extlinux/extlinux.conf").write_text(f"label own\nfdt /a.dtb\n{OTHERS}")
    board.files(*FILES, "/a.dtb", "/other.dtb")
    board.start()
    assert "/a.dtb;" in board.said()["ccsight_tree"]
    assert board.boots()[0].startswith("ours k r:7 f:")


@pytest.mark.parametrize(
    ("fw_printenv", "config", "words"),
    [
        (
            'echo "bootcmd=x"; [ $# = 0 ] || echo x',
            "",
            {"fw-bootcmd": "there", "fw-error": "", "fw-closed": "", "fw-counts": ""},
        ),
        ("echo bootlimit=3", "", {"fw-counts": "there"}),
        ("echo bootlimit=0", "", {"fw-counts": ""}),
        ("echo upgrade_available=1", "", {"fw-counts": "there"}),
        ('echo "Bad CRC" >&2; echo x', "", {"fw-error": "Bad CRC"}),
        ("", "", {"fw-bootcmd": ""}),
        ("echo x", "# a\n/usr 0 0x1000\n/dev/mmcblk9boot0 0 1\n", {"fw-closed": "/usr"}),
        ("echo x", "/dev/null 0 1\n/dev/zero 0 0x1000\n", {"fw-closed": "/dev/zero"}),
        ("echo x", "/dev/not-there 0 0x1000\n/dev/null 0 0x1000\n", {"fw-closed": ""}),
    ],
)
def test_a_look_finds_what_u_boots_environment_is(board, fw_printenv, config, words):
    (board.folder / "bin/fw_printenv").write_text(f"#!/bin/sh\n{fw_printenv}\n")
    (board.folder / "config").write_text(config)
    found = equipment.look(LocalHost(), "m", Deadline(60))
    assert {word: found.one(word) for word in words} == words
    assert (found.one("fw-setenv"), found.one("fw-config"), found.one("extlinux")) == ("there",) * 3
    assert found.one("extlinux-overlays") == ""
    (board.folder / "boot/extlinux/extlinux.conf").write_text("label a\n\tFDTOVERLAYS /a.dtbo\n")
    assert equipment.look(LocalHost(), "m", Deadline(60)).one("extlinux-overlays") == "there"
