"""What machines of the inventory can be used for: judged from what they say, and asked of a real sshd."""

import json
import platform

import pytest
from ssh_lab import lab, sshds

from ccsight.cli import run
from ccsight.deadline import Deadline
from ccsight.errors import InfraError, NoKvm, UsageError
from ccsight.machines import equipment, inventory, standing
from ccsight.machines.abilities import Word, abilities
from ccsight.machines.checking import Checked
from ccsight.machines.local import LocalHost

__all__ = ["lab", "sshds"]

ADMITTED = json.dumps(
    {"method": "grub", "recovery": ["panic", "timer"], "release": "6.12", "by": "ann@lab", "at": "2026"}
)
SAID = {
    "user": "ann", "root": "sudo", "machine": "aarch64", "release": "6.12.1", "kvm": "usable",
    "boot": "400000", "tmp": "400000", "modules": "400000", "cpus": "4", "users": "", "vms": "",
    "boot-id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "systemd": "there", "mkinitramfs": "there",
    "lockdown": "[none] integrity confidentiality", "secure-boot": "0",
    "grub": "there", "grub-one-shot": "there", "grub-custom": "there", "grub-fs": "ext2", "grub-beneath": "",
    "grub-reboot": "there", "efi": "there", "efibootmgr": "there", "esp": "/boot/efi", "bootctl": "there",
    "loader": "systemd-boot 252", "kexec": "0", "kexec-program": "/usr/sbin/kexec",
    "command-line": "root=/dev/sda1 quiet", "admitted": ADMITTED,
    "watchdog": "SBSA", "watchdog-file": "there", "extlinux": "there", "boot-place": "mmcblk0p1 ext4 /",
    "fw-setenv": "there", "fw-config": "there", "fw-error": "", "fw-bootcmd": "there", "fw-closed": "",
}  # fmt: skip


def said(**changes):
    words = SAID | {word.replace("_", "-"): value for word, value in changes.items()}
    lines = [f"{word} {value}" for word, value in words.items() if value is not None]
    return "\n".join([*lines, "end\n"]).encode()


def judged(row="sudo = true", **changes):
    entry = inventory.read(f"[m]\naddress = 'm'\n{row}\n", "machines.toml")["m"]
    return {each.name: each for each in abilities(entry, equipment.parse(said(**changes), "m"))}


def test_a_machine_that_has_it_all():
    found = judged(
        "sudo = true\npower = ['pdu', '--password=secret']\nconsole = ['conserver', 'm']\n"
        "boot = 'grub'\nboot-command = ['x']"
    )
    assert {each.word for each in found.values()} == {Word.YES}
    assert not [each.next_step for each in found.values() if each.next_step]
    assert found["power"].why == "by pdu"
    assert Checked("m", tuple(found.values())).usable


@pytest.mark.parametrize(
    ("changes", "name", "word", "why"),
    [
        ({"machine": "x86_64"}, "arm64", "no", "it says x86_64"),
        ({"kvm": "absent"}, "KVM", "no", "there is no /dev/kvm"),
        ({"kvm": "refused"}, "KVM", "no", "ann may not open /dev/kvm"),
        ({"tmp": "1000"}, "room in /tmp", "no", "0 MiB free"),
        ({"tmp": ""}, "room in /tmp", "unknown", "df does not say"),
    ],
)
def test_what_is_needed_and_lacks(changes, name, word, why):
    found = judged(**changes)
    assert (found[name].word, found[name].needed) == (word, True)
    assert found[name].why.startswith(why)
    assert not Checked("m", tuple(found.values())).usable


@pytest.mark.parametrize(
    ("changes", "name", "word", "why"),
    [
        ({"root": "nobody"}, "root", "no", "ann is not root, and sudo asks for a password"),
        ({"boot": "1000"}, "room in /boot", "no", "0 MiB free"),
        ({"secure_boot": "1"}, "unsigned kernels", "no", "Secure Boot is on"),
        (
            {"lockdown": "none [integrity] x"},
            "unsigned kernels",
            "no",
            "its kernel is locked down: integrity",
        ),
        (
            {"lockdown": None, "secure_boot": None},
            "unsigned kernels",
            "unknown",
            "neither firmware nor kernel",
        ),
        ({"grub": None}, "boot by grub", "no", "it has no /boot/grub/grub.cfg"),
        ({"loader": "GRUB 2.12"}, "boot by systemd-boot", "no", "it was not started by systemd-boot"),
        ({"extlinux": None}, "boot by extlinux", "no", "it has no /boot/extlinux/extlinux.conf"),
        ({"kexec": ""}, "boot by kexec", "no", "its kernel was built without CONFIG_KEXEC"),
        ({"kexec": "1"}, "boot by kexec", "no", "kernel.kexec_load_disabled is set"),
        ({"kexec_program": ""}, "boot by kexec", "no", "it has no kexec(8)"),
        ({"command_line": "kvm-arm.mode=protected"}, "boot by kexec", "no", "its KVM is in protected mode"),
        ({"admitted": ""}, "comes back", "unknown", "nobody has seen it do so"),
        ({"admitted": "{}"}, "comes back", "unknown", "nobody has seen it do so"),
        ({"mkinitramfs": None}, "reboots", "no", "it has no mkinitramfs(8)"),
        ({"systemd": None}, "reboots", "no", "systemd does not run there"),
        ({"users": "eve"}, "idle", "no", "logged in: eve"),
        ({"vms": "qemu-system-aar:17"}, "idle", "no", "VMs: qemu-system-aar:17"),
        ({"watchdog_file": None}, "watchdog", "no", "there is no /dev/watchdog"),
    ],
)
def test_what_only_booting_needs(changes, name, word, why):
    found = judged(**changes)
    assert (found[name].word, found[name].needed) == (word, False)
    assert found[name].why.startswith(why)
    assert Checked("m", tuple(found.values())).usable


def test_a_boot_method_that_the_machine_does_not_have():
    found = judged("boot = 'grub'", grub=None)["boot by grub"]
    assert (found.word, found.next_step) == ("no", "mend that, or another boot = in its entry")
    assert judged()["boot by grub"].next_step == 'boot = "grub" in its entry'
    assert judged("boot = 'grub'")["boot by kexec"].next_step == ""


def test_it_is_admitted_for_one_method():
    assert judged("boot = 'grub'")["comes back"].why == "panic, timer: seen by ann@lab with grub, 2026"
    assert judged("boot = 'kexec'")["comes back"].word is Word.UNKNOWN
    assert judged("boot = 'kexec'")["comes back"].next_step == "ccsight machines admit m"


def test_who_is_not_root_and_could_be_is_told_so():
    assert judged(root="may")["root"].next_step == "sudo = true in its entry"
    assert judged(root="sudo")["root"].why == "ann, by sudo -n"
    assert judged(root="root")["root"].why == "logged in as root"


@pytest.mark.parametrize(
    "content",
    [
        b"",
        said()[:-4],
        b"welcome to m\n" + said(),
        said(kvm="maybe"),
        said(user="a b"),
        said(boot="-1"),
        said(release=None),
        said(watchdog="x" * 301),
        said() + b"more\n",
    ],
)
def test_what_cannot_be_meant_is_no_answer(content):
    with pytest.raises(InfraError, match="cannot be read"):
        equipment.parse(content, "m")


STANDS = {
    "user": "ann", "uid": "1000", "machine": "aarch64", "release": "6.12.1",
    "banner": "Linux version 6.12.1 x",
    "notes": "00ff", "boot-id": "0" * 8 + "-0000-0000-0000-" + "0" * 12, "cpus": "4", "kvm": "usable",
    "programs": "run",
}  # fmt: skip


def stands(**changes):
    words = STANDS | {word.replace("_", "-"): value for word, value in changes.items()}
    lines = [f"{word} {value}" for word, value in words.items() if value is not None]
    return standing.parse("\n".join([*lines, "end\n"]).encode(), "m")


def test_how_a_machine_stands_is_read():
    found = stands()
    assert (found.user, found.root, found.cpus, found.notes) == ("ann", False, 4, b"\x00\xff")
    found.prove_usable("m")
    assert stands(uid="0").root


@pytest.mark.parametrize(
    ("changes", "kind", "words"),
    [
        ({"machine": "riscv64"}, UsageError, "m is not an arm64 machine"),
        ({"kvm": "absent"}, NoKvm, "CONFIG_KVM"),
        ({"kvm": "refused: crw-rw---- root kvm"}, NoKvm, "usermod -aG kvm ann"),
        ({"programs": None}, InfraError, "mounted with noexec"),
    ],
)
def test_a_machine_that_cannot_be_observed_says_why(changes, kind, words):
    with pytest.raises(kind) as refused:
        stands(**changes).prove_usable("m")
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [{"cpus": "0"}, {"boot_id": "x"}, {"notes": "0"}, {"extra": "1"}, {"release": None}, {"kvm": "odd"}],
)
def test_half_an_answer_is_none(changes):
    with pytest.raises(InfraError, match="what m says of itself cannot be read"):
        stands(**changes)


def test_the_scripts_answer_on_this_very_system():
    found = standing.look(LocalHost(), "here", Deadline(30))
    assert (found.machine, found.programs_run) == (platform.machine(), True)
    assert len(found.notes) > 20
    assert equipment.look(LocalHost(), "here", Deadline(30)).one("machine") == platform.machine()


class TestVerb:
    def test_one_that_is_reached_and_one_that_is_not(self, lab, capfd):
        lab.write(lab.entry("metal", lab.machine), '[gone]\naddress = "127.0.0.1"\nport = 1\n')
        assert run(["machines", "check", "--json"]) == 3
        metal, gone = json.loads(capfd.readouterr().out)["machines"]
        words = {each["name"]: each["word"] for each in metal["abilities"]}
        assert (words["reach"], words["host key"]) == ("yes", "yes")
        assert metal["usable"] is (platform.machine() == "aarch64" and words["KVM"] == "yes")
        assert [(each["name"], each["word"]) for each in gone["abilities"]] == [("reach", "no")]

    def test_a_host_key_that_nobody_knows(self, lab, capfd):
        lab.write(lab.entry("metal", lab.machine, pinned=False))
        assert run(["machines", "check", "metal"]) == 3
        said = capfd.readouterr().out
        assert "metal  cannot be captured" in said
        assert f'host-key = "{lab.machine.host_key}"' in said

    def test_an_empty_inventory_is_not_conclusive(self, lab, capfd):
        lab.write("")
        assert run(["machines", "check"]) == 4
        assert "ccsight machines add HOST" in capfd.readouterr().out

    def test_a_name_that_is_not_there(self, lab, capfd):
        lab.write(lab.entry("metal", lab.machine))
        assert run(["machines", "check", "mettal"]) == 2
        assert "did you mean 'metal'?" in capfd.readouterr().err
