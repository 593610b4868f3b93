"""What may stand in an entry of the inventory: its keys, and which values they can have."""

import re

from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError
from ccsight.evidence.toml import Row
from ccsight.machines import labgrid_command

Words = tuple[str, ...]

#: How a machine may be made to boot a kernel.
METHODS = ("kexec", "grub", "systemd-boot", "efi", "extlinux", "command")
#: Seconds that a machine may take to go down and come up, where its entry says nothing else; and what it may.
PATIENCE = 300
_PATIENCES = range(20, 3601)
LEARN = "see how one is written: ccsight machines add --example"
#: What is put into the argv of ssh must not look like an option, nor be two words.
_ADDRESS = re.compile(r"[A-Za-z0-9_:\[][A-Za-z0-9_.:%\[\]-]{0,254}")
#: A place of labgrid's, and where its coordinator listens.
_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,254}")
_COORDINATOR = re.compile(r"(?:[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}|\[[0-9a-fA-F:.]+\])(?::[0-9]{1,5})?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]{0,63}")
_PORTS = range(1, 1 << 16)


class EntryRow(Row, frozen=True, kw_only=True, rename="kebab"):
    """``[NAME]``, as it is written."""

    address: str
    user: str = ""
    port: int | None = None
    key: str = ""
    agent: bool = False
    host_key: str | Words = ()
    jump: object = None
    boot: str = ""
    boot_command: str | Words = ()
    patience: int = PATIENCE
    console: str | Words | None = None
    power: str | Words | None = None
    labgrid: str = ""
    labgrid_coordinator: str = ""
    shell: bool = False
    sudo: bool = False
    cores: Words = ()
    tags: Words = ()
    notes: str = ""


class JumpRow(Row, frozen=True, kw_only=True, rename="kebab"):
    """A host on the way that has no entry of its own."""

    to: str
    key: str = ""
    host_key: str | Words = ()


def prove(place: str, row: EntryRow) -> None:
    """Raise UsageError for an entry with a value that cannot be; ``place`` is where it stands."""
    if not _ADDRESS.fullmatch(row.address):
        raise bad(place, "address", row.address, "a host name, an IP address, or an alias of ssh_config")
    if row.user and not _USER.fullmatch(row.user):
        raise bad(place, "user", row.user, "a user's name")
    if row.port is not None and row.port not in _PORTS:
        raise bad(place, "port", str(row.port), "a number from 1 to 65535")
    if row.key and row.agent:
        raise bad(
            place, "agent", "true", "beside key = FILE there is one way too many to log in: leave one out"
        )
    if row.patience not in _PATIENCES:
        raise bad(place, "patience", str(row.patience), "seconds, a number from 20 to 3600")
    _prove_labgrid(place, row)
    if row.boot and row.boot not in METHODS:
        raise bad(place, "boot", row.boot, nearest(row.boot, METHODS))


def _prove_labgrid(place: str, row: EntryRow) -> None:
    if row.labgrid and not _PLACE.fullmatch(row.labgrid):
        raise bad(place, "labgrid", row.labgrid, "the whole name of a place: labgrid-client places")
    if row.labgrid_coordinator and not row.labgrid:
        rule = 'a coordinator lends nothing without labgrid = "PLACE"'
        raise bad(place, "labgrid-coordinator", row.labgrid_coordinator, rule)
    if row.labgrid_coordinator and not _COORDINATOR.fullmatch(row.labgrid_coordinator):
        raise bad(place, "labgrid-coordinator", row.labgrid_coordinator, "HOST or HOST:PORT")


def outside(place: str, key: str, given: str | Words | None, row: EntryRow) -> Words:
    """Return a command that needs nothing of the machine; labgrid's, where the entry has no word of it."""
    if given is not None or not row.labgrid:
        return argv(place, key, given or (), shell=row.shell)
    make = {"console": labgrid_command.console, "power": labgrid_command.power}[key]
    return make(row.labgrid_coordinator, row.labgrid)


def argv(place: str, key: str, given: str | Words, *, shell: bool) -> Words:
    """Return a command as words; a shell is there only where the entry says so. Raises UsageError."""
    if isinstance(given, str):
        if given and not shell:
            raise bad(place, key, given, 'a list of words, ["PROGRAM", "WORD"]; a string takes shell = true')
        return ("sh", "-c", given) if given else ()
    return given


def bad(place: str, key: str, value: str, rule: str) -> UsageError:
    """Return the error for a value that cannot be, with the rule that it breaks."""
    where = f"{place}: {key} = {value!r}" if place else repr(value)
    return UsageError(f"{where} cannot be", evidence=rule, next_step=LEARN)
