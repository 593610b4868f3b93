"""What a real machine is and has, as one script there says it: ``equipment.sh`` asks, and changes nothing.

What comes back is untrusted: bounded, of known words only, and with an end, or it is none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.machines import answers
from ccsight.machines.model import Host

_SCRIPT = Path(__file__).with_name("equipment.sh")
_SECONDS = 60.0
_LONGEST = 1 << 15
_ANY = r"[ -~]{0,300}"
_THERE = "there"
#: What each word's value looks like.
_FORMS = {
    "user": r"[!-~]{1,64}",
    "root": r"root|sudo|may|nobody",
    "machine": r"[!-~]{1,64}",
    "release": r"[!-~]{1,64}",
    "kvm": r"absent|usable|refused",
    "boot": r"\d{0,15}",
    "tmp": r"\d{0,15}",
    "modules": r"\d{0,15}",
    "boot-id": r"[0-9a-f-]{36}",
    "cpus": r"[1-9]\d{0,4}",
    "lockdown": _ANY,
    "secure-boot": r"\d{0,3}",
    "grub": _THERE,
    "grub-one-shot": _THERE,
    "grub-custom": _THERE,
    "grub-fs": _ANY,
    "grub-beneath": _ANY,
    "grub-reboot": _THERE,
    "efibootmgr": _THERE,
    "bootctl": _THERE,
    "mkinitramfs": _THERE,
    "systemd": _THERE,
    "esp": r"/[a-z/]{1,10}",
    "efi": _THERE,
    "loader": _ANY,
    "extlinux": _THERE,
    "extlinux-overlays": _THERE,
    "boot-place": _ANY,
    "fw-setenv": _THERE,
    "fw-config": _THERE,
    "fw-error": _ANY,
    "fw-bootcmd": _THERE,
    "fw-counts": _THERE,
    "fw-closed": _ANY,
    "kexec": r"\d{0,3}",
    "kexec-program": _ANY,
    "command-line": r"[ -~]{0,2000}",
    "watchdog": _ANY,
    "watchdog-file": _THERE,
    "admitted": r"[ -~]{0,600}",
    "users": _ANY,
    "vms": _ANY,
}
#: Those that every machine says.
_ALWAYS = (
    "user",
    "root",
    "machine",
    "release",
    "kvm",
    "boot",
    "tmp",
    "modules",
    "boot-id",
    "cpus",
    "command-line",
    "users",
    "vms",
)
#: GRUB's names of the file systems in which it can clear its one-shot entry.
_GRUB_WRITES = ("ext2", "fat")
_PROTECTED = "kvm-arm.mode=protected"


@dataclass(frozen=True)
class Equipment:
    """What a machine says of itself, by word."""

    said: Mapping[str, str]

    def one(self, word: str) -> str:
        """Return the value of a word, "" where it was not said."""
        return self.said.get(word, "")

    def free(self, place: str) -> int | None:
        """Return the bytes that are free in ``boot``, ``modules`` or ``tmp``; None where not known."""
        return int(self.one(place)) << 10 if self.one(place) else None

    @property
    def locked_down(self) -> str:
        """Why firmware or kernel let only signed kernels run; "" where nothing says so."""
        if self.one("secure-boot") == "1":
            return "Secure Boot is on"
        mode = re.search(r"\[(\w+)\]", self.one("lockdown"))
        return f"its kernel is locked down: {mode[1]}" if mode and mode[1] != "none" else ""

    @property
    def is_root(self) -> bool:
        """Whether it was root who was told."""
        return self.one("root") in ("root", "sudo")

    @property
    def no_kexec(self) -> str:
        """Why its kernel does not start another one by itself; "" where it can."""
        if not self.one("kexec"):
            return "its kernel was built without CONFIG_KEXEC"
        if self.one("kexec") != "0":
            return "kernel.kexec_load_disabled is set, which only the next boot clears"
        if _PROTECTED in self.one("command-line").split():
            return "its KVM is in protected mode, where the kernel refuses kexec"
        return "" if self.one("kexec-program") else "it has no kexec(8): apt-get install kexec-tools"

    @property
    def no_way_back(self) -> str:
        """What every boot method needs to bring it back, and it does not have; "" where it has it all."""
        if not self.one("systemd"):
            return "systemd does not run there, which every way to reboot it goes through"
        if not self.one("mkinitramfs"):
            return "it has no mkinitramfs(8): what sees to its way back goes into an initramfs of its tools"
        return ""

    @property
    def grub_keeps(self) -> str:
        """Why GRUB cannot clear a one-shot entry here, which it then boots for ever; "" where it can."""
        fs, beneath = self.one("grub-fs").strip(), self.one("grub-beneath").strip()
        if beneath:
            return f"/boot/grub lies on {beneath}"
        return "" if fs in _GRUB_WRITES else f"/boot/grub is of the kind {fs or 'unknown'}"

    @property
    def in_use(self) -> tuple[str, ...]:
        """Whom a reboot would hit: who has a terminal there, and what has a VM."""
        users, vms = self.one("users").split(), self.one("vms").split()
        hit = [f"logged in: {', '.join(users)}"] if users else []
        return (*hit, f"VMs: {', '.join(vms)}") if vms else tuple(hit)


def look(host: Host, name: str, deadline: Deadline) -> Equipment:
    """Ask a machine what it is and has; root is told all of it. Raises InfraError."""
    argv = ["sh", "-c", _SCRIPT.read_text(encoding="utf-8")]
    done = host.run(argv, deadline.within(_SECONDS), limit=_LONGEST)
    if done.returncode and not done.stdout:
        raise answers.none(name, done)
    return parse(done.stdout, name)


def parse(content: bytes, name: str) -> Equipment:
    """Return what the script's output says. Raises InfraError for what it cannot say."""
    return Equipment(answers.read(content, _FORMS, _ALWAYS, name))
