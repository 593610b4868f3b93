"""What a machine of the inventory can be used for: each ability, with its reason, and what to do next.

Judged from what the machine was seen to be; nothing is asked here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from ccsight.machines import admission
from ccsight.machines.equipment import Equipment
from ccsight.machines.inventory import Entry
from ccsight.machines.methods.table import METHODS

#: Bytes that the probe takes, with room for what it says; and an installed kernel with modules and initramfs.
_TMP, _BOOT = 64 << 20, 256 << 20
_MIB = 1 << 20
_NATIVE = ("aarch64", "arm64")


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
    yield _who(found)
    yield _room("/tmp", found.free("tmp"), _TMP, needed=True)  # noqa: S108 - where the probe goes
    yield _room("/boot", found.free("boot"), _BOOT)
    yield _unsigned(found)
    yield from _boots(entry, found)
    yield _reboots(found)
    yield _idle(found)
    yield _watchdog(found)
    yield _named("power", entry.power, "nobody can turn it off and on again from here")
    yield _named("console", entry.console, "what its kernel says while it boots is seen by nobody")
    yield _admitted(entry, found)


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


def _who(found: Equipment) -> Ability:
    user, who = found.one("user"), found.one("root")
    if found.is_root:
        return Ability("root", Word.YES, "logged in as root" if who == "root" else f"{user}, by sudo -n")
    if who == "may":
        why = f"{user} is not root, but could be: sudo asks for no password"
        return Ability("root", Word.NO, why, "sudo = true in its entry")
    why = f"{user} is not root, and sudo asks for a password: its log may not be read, and nothing be booted"
    return Ability("root", Word.NO, why, "a line for sudoers, and sudo = true in its entry")


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


def _boots(entry: Entry, found: Equipment) -> Iterator[Ability]:
    for name, make in METHODS.items():
        ours = entry.boot == name
        why = make(entry).refuses(found)
        step = "mend that, or another boot = in its entry" if ours and why else ""
        if not why and not entry.boot:
            step = f'boot = "{name}" in its entry'
        word = Word.NO if why else Word.YES
        yield Ability(f"boot by {name}", word, why or ("so its entry says" if ours else "it could"), step)


def _admitted(entry: Entry, found: Equipment) -> Ability:
    """Return whether it was seen to come back, and by what: its recovery class."""
    admitted = admission.parse(found.one("admitted"))
    step = f"ccsight machines admit {entry.name}" if entry.boot else ""
    if admitted is None:
        return Ability("comes back", Word.UNKNOWN, "nobody has seen it do so", step)
    why = f"{', '.join(admitted.recovery)}: seen by {admitted.by} with {admitted.method}, {admitted.at}"
    if entry.boot and admitted.method != entry.boot:
        return Ability("comes back", Word.UNKNOWN, f"{why}; its entry says {entry.boot}", step)
    return Ability("comes back", Word.YES, why)


def _reboots(found: Equipment) -> Ability:
    why = found.no_way_back
    return Ability("reboots", Word.NO if why else Word.YES, why or "systemd and initramfs-tools are there")


def _idle(found: Equipment) -> Ability:
    if found.in_use:
        step = "ask them before it is booted: --on NAME,force=on asks nobody"
        return Ability("idle", Word.NO, "; ".join(found.in_use), step)
    return Ability("idle", Word.YES, "no VM runs there, and nobody has a terminal")


def _watchdog(found: Equipment) -> Ability:
    if found.one("watchdog-file"):
        return Ability("watchdog", Word.YES, found.one("watchdog") or "/dev/watchdog, without a name")
    step = "a kernel that hangs there is ended by power only"
    return Ability("watchdog", Word.NO, "there is no /dev/watchdog", step)


def _named(name: str, argv: tuple[str, ...], without: str) -> Ability:
    if argv:
        return Ability(name, Word.YES, f"by {argv[0]}")  # there may be a password among its words
    return Ability(name, Word.NO, without, f'{name} = ["PROGRAM", …] in its entry')
