"""The inventory: the user's own machines, one table each in a file of TOML, read strictly.

Nothing is looked up or reached here.
"""

import functools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ccsight.arm64.suggest import nearest
from ccsight.errors import UsageError, reason
from ccsight.evidence.toml import Reader
from ccsight.machines.host_keys import HostKey, host_key
from ccsight.machines.inventory_rows import (
    LEARN,
    PATIENCE,
    EntryRow,
    JumpRow,
    Words,
    argv,
    bad,
    outside,
    prove,
)

#: Names that mean a kind of machine already, see ``registry.KINDS``.
TAKEN = ("emulated", "silicon", "local")
#: Says which file it is, to this process and those that it starts.
VARIABLE = "CCSIGHT_INVENTORY"
#: A name is a machine's spec, where a colon and a comma mean something else.
NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_HOP = re.compile(r"(?:(?P<user>[^@]+)@)?(?P<host>\[[0-9a-fA-F:.]+\]|[^:\[\]]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True)
class Entry:
    """A machine, or a host on the way to one. What is "" or None or () is for ssh_config to say.

    ``jumps`` are in the order of the way; None where ssh_config says them. ``console``, ``power``
    and ``boot_command`` are argvs; the first two are labgrid's where it lends the machine.
    ``patience`` is for how many seconds a boot is waited for.
    """

    name: str
    address: str
    place: str
    user: str = ""
    port: int | None = None
    key: Path | None = None
    agent: bool = False
    host_keys: tuple[HostKey, ...] = ()
    jumps: "tuple[Entry, ...] | None" = None
    boot: str = ""
    boot_command: Words = ()
    patience: int = PATIENCE
    console: Words = ()
    power: Words = ()
    labgrid: str = ""
    labgrid_coordinator: str = ""
    sudo: bool = False
    cores: Words = ()
    tags: Words = ()
    notes: str = ""


def file() -> Path:
    """Return where the inventory lies, whether or not there is one."""
    if chosen := os.environ.get(VARIABLE):
        return Path(chosen)
    base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(base).expanduser() / "ccsight" / "machines.toml"


def choose(path: Path) -> None:
    """Take another file from here on, in the processes that this one starts, too."""
    os.environ[VARIABLE] = str(path.absolute())


def entries() -> Mapping[str, Entry]:
    """Return all machines of the inventory, by name. Raises UsageError.

    A file that was chosen must be there; the usual one need not.
    """
    path = file()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if VARIABLE not in os.environ:
            return {}
        raise UsageError(f"there is no inventory {path}", next_step=LEARN) from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"the inventory {path} cannot be read", evidence=reason(error), next_step=LEARN
        ) from error
    return read(text, str(path))


def entry(name: str) -> Entry:
    """Return one machine. Raises UsageError naming the nearest."""
    found = entries()
    if name not in found:
        raise UsageError(
            f"the inventory has no machine {name!r}",
            evidence=nearest(name, found) if found else f"there is none in {file()}",
            next_step="ccsight machines add HOST",
        )
    return found[name]


@functools.lru_cache(maxsize=8)
def read(text: str, path: str) -> Mapping[str, Entry]:
    """Return the machines of a text, by name; ``path`` is what messages call it. Raises UsageError."""
    reader = Reader(path, LEARN)
    document = reader.document(text)
    rows = {name: _row(reader, name, table) for name, table in document.items()}
    return {name: _entry(reader, name, row, rows) for name, row in rows.items()}


def _row(reader: Reader, name: str, table: object) -> EntryRow:
    place = f"{reader.file}: [{name}]"
    if not isinstance(table, dict):
        raise UsageError(f"{reader.file}: {name} stands outside of all tables", next_step=LEARN)
    if not NAME.fullmatch(name) or name in TAKEN:
        raise UsageError(
            f"{place} has a name that no machine can have",
            evidence=f"taken: {', '.join(TAKEN)}" if name in TAKEN else "",
            next_step="use a-z, 0-9, dots, dashes and underscores; it begins with a letter or a digit",
        )
    for word in ("password", "passphrase"):
        if word in table:
            raise UsageError(
                f"{place} has a {word}, and none is ever stored here",
                evidence="a file of secrets is read by more people than it was written for",
                next_step="log in with a key (key = FILE), or with those of ssh-agent (agent = true)",
            )
    return reader.row(table, EntryRow, place)


def _entry(reader: Reader, name: str, row: EntryRow, rows: Mapping[str, EntryRow], way: Words = ()) -> Entry:
    place = f"{reader.file}: [{name}]"
    prove(place, row)
    if name in way:
        raise bad(place, "jump", " → ".join((*way, name)), "a way that leads back to itself reaches nothing")
    return Entry(
        name=name,
        address=row.address,
        place=place,
        user=row.user,
        port=row.port,
        key=Path(row.key).expanduser() if row.key else None,
        agent=row.agent,
        host_keys=tuple(_keys(place, row.host_key)),
        jumps=None if row.jump is None else tuple(_jumps(reader, place, row.jump, rows, (*way, name))),
        boot=row.boot,
        boot_command=argv(place, "boot-command", row.boot_command, shell=row.shell),
        patience=row.patience,
        console=outside(place, "console", row.console, row),
        power=outside(place, "power", row.power, row),
        labgrid=row.labgrid,
        labgrid_coordinator=row.labgrid_coordinator,
        sudo=row.sudo,
        cores=row.cores,
        tags=row.tags,
        notes=row.notes,
    )


def _keys(place: str, given: str | Words) -> Iterator[HostKey]:
    for text in (given,) if isinstance(given, str) else given:
        key = host_key(text, f"{place} host-key")
        if key is None:
            raise bad(
                place, "host-key", text, 'it reads "ssh-ed25519 AAAA…": ssh-keyscan HOST shows them, unproved'
            )
        yield key


def _jumps(
    reader: Reader, place: str, given: object, rows: Mapping[str, EntryRow], way: Words
) -> Iterator[Entry]:
    """Yield each host on the way: another entry by its name, or one that only this entry has."""
    for jump in given if isinstance(given, list | tuple) else (given,):
        if isinstance(jump, str) and jump in rows:
            yield _entry(reader, jump, rows[jump], rows, way)
        elif isinstance(jump, str) and not re.search("[@:]", jump):
            raise bad(
                place, "jump", jump, f"no entry has that name: {nearest(jump, rows)}; or write USER@HOST:PORT"
            )
        else:
            row = reader.row({"to": jump} if isinstance(jump, str) else jump, JumpRow, f"{place} jump")
            yield hop(row.to, place, row.key, tuple(_keys(place, row.host_key)))


def hop(text: str, place: str = "", key: str = "", host_keys: tuple[HostKey, ...] = ()) -> Entry:
    """Return ``[USER@]HOST[:PORT]`` as a host on the way; ``place`` is where its key would be pinned."""
    match = _HOP.fullmatch(text.removeprefix("ssh://"))
    row = match and EntryRow(
        address=match["host"].strip("[]"), user=match["user"] or "", port=int(match["port"] or 0) or None
    )
    if not row:
        raise bad(place, "jump", text, "a host on the way reads USER@HOST:PORT")
    prove(place, row)
    where = Path(key).expanduser() if key else None
    return Entry(text, row.address, place, row.user, row.port, where, host_keys=host_keys)
