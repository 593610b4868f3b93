"""What a machine of the inventory can be used for: each ability, with its reason, and what to do next.

Judged from what the machine was seen to be; nothing is asked here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ccsight.machines.equipment import Equipment
from ccsight.machines.inventory import Entry

#: Bytes that the probe takes, with room for what it says; and an installed kernel with modules and initramfs.
_TMP, _BOOT = 64 << 20, 256 << 20
_MIB = 1 << 20
_NATIVE = ("aarch64", "arm64")
#: Boot methods that need a boot loader of their name, or EFI variables.
_LOADERS = ("grub", "systemd-boot", "extlinux", "efi")
_PROTECTED = "kvm-arm.mode=protected"


class Word(StrEnum):
    """Whether a machine has an ability."""

    YES = "yes"
    NO = "no"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Ability:
    """One of them. ``needed`` tells whether nothing can be captured there without it."""

    name: str
    word: Word
    why: str
    next_step: str = ""
    needed: bool = False


def abilities(entry: Entry, found: Equipment) -> Iterator[Ability]:
    """Yield what a machine can be used for, beyond being reached."""
    yield _arm64(found)
    yield Ability("kernel", Word.YES, found.one("release"))
    yield _kvm(found)
    yield _who(entry, found)
    yield _room("/tmp", found.free("tmp"), _TMP, needed=True)  # noqa: S108 - where the probe goes
    yield _room("/boot", found.free("boot"), _BOOT)
    yield _unsigned(found)
    yield _loader(entry, found)
    yield _kexec(found)
    yield _watchdog(found)
    yield _named("power", entry.power, "nobody can turn it off and on again from here")
    yield _named("console", entry.console, "what its kernel says while it boots is seen by nobody")


def _arm64(found: Equipment) -> Ability:
    said = found.one("machine")
    if said in _NATIVE:
        return Ability("arm64", Word.YES, said, needed=True)
    return Ability("arm64", Word.NO, f"it says {said}", "only an arm64 CPU has these registers", needed=True)


def _kvm(found: Equipment) -> Ability:
    user, state = found.one("user"), found.one("kvm")
    if state == "usable":
        return Ability("KVM", Word.YES, "/dev/kvm can be opened", needed=True)
    if state == "refused":
        step = f"there, as root: usermod -aG kvm {user}"
        return Ability("KVM", Word.NO, f"{user} may not open /dev/kvm", step, needed=True)
    step = "CONFIG_KVM, and a kernel entered at EL2: dmesg | grep -i kvm"
    return Ability("KVM", Word.NO, "there is no /dev/kvm", step, needed=True)


def _who(entry: Entry, found: Equipment) -> Ability:
    user, who = found.one("user"), found.one("root")
    if who == "root":
        return Ability("root", Word.YES, "logged in as root")
    if who == "sudo":
        return Ability(
            "root", Word.YES, f"{user}, by sudo -n", "" if entry.sudo else "sudo = true in its entry"
        )
    why = f"{user} is not root, and sudo asks for a password: its log may not be read, and nothing be booted"
    step = "a line for sudoers, and sudo = true in its entry"
    if entry.sudo:
        return Ability("root", Word.NO, why, "a line for sudoers, or sudo = false in its entry", needed=True)
    return Ability("root", Word.NO, why, step)


def _room(place: str, free: int | None, wanted: int, *, needed: bool = False) -> Ability:
    name = f"room in {place}"
    if free is None:
        return Ability(name, Word.UNKNOWN, "df does not say", needed=needed)
    why = f"{free // _MIB} MiB free"
    if free < wanted:
        return Ability(name, Word.NO, why, f"it takes {wanted // _MIB} MiB", needed=needed)
    return Ability(name, Word.YES, why, needed=needed)


def _unsigned(found: Equipment) -> Ability:
    name = "unsigned kernels"
    if found.locked_down:
        return Ability(name, Word.NO, found.locked_down, "kernels built here do not boot there; captures do")
    if found.one("lockdown") or found.one("secure-boot"):
        return Ability(name, Word.YES, "neither Secure Boot nor lockdown forbids them")
    return Ability(name, Word.UNKNOWN, "neither firmware nor kernel says whether they are forbidden")


def _loader(entry: Entry, found: Equipment) -> Ability:
    name, why = "boot loader", ", ".join(found.loaders) or "none was found"
    if entry.boot in _LOADERS and entry.boot not in found.loaders:
        return Ability(name, Word.NO, f"{why}; its entry says {entry.boot}", "see boot = in its entry")
    if not found.loaders:
        return Ability(name, Word.NO, why, "kexec, or a command of your own")
    return Ability(name, Word.YES, why, "" if entry.boot else f'boot = "{found.loaders[0]}" in its entry')


def _kexec(found: Equipment) -> Ability:
    if not found.one("kexec"):
        return Ability("kexec", Word.NO, "the kernel has none", "CONFIG_KEXEC, or another boot method")
    if found.one("kexec") != "0":
        why = "kernel.kexec_load_disabled is set"
        return Ability("kexec", Word.NO, why, "only the next boot clears it")
    if _PROTECTED in found.one("command-line").split():
        return Ability("kexec", Word.NO, "KVM is in protected mode, which refuses it", "another boot method")
    if not found.one("kexec-program"):
        return Ability("kexec", Word.NO, "the program is not there", "apt install kexec-tools, there")
    return Ability("kexec", Word.YES, "kernel and program have it")


def _watchdog(found: Equipment) -> Ability:
    if found.one("watchdog-file"):
        return Ability("watchdog", Word.YES, found.one("watchdog") or "/dev/watchdog, without a name")
    step = "a kernel that hangs there is ended by power only"
    return Ability("watchdog", Word.NO, "there is no /dev/watchdog", step)


def _named(name: str, argv: tuple[str, ...], without: str) -> Ability:
    if argv:
        return Ability(name, Word.YES, " ".join(argv))
    return Ability(name, Word.NO, without, f'{name} = ["PROGRAM", …] in its entry')
