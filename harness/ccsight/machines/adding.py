"""A new entry of the inventory: the host key that a machine shows, and the table behind the others."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from ccsight import store
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.evidence.toml import quoted
from ccsight.machines import inventory, reach
from ccsight.machines.host_keys import HostKey, WrongHostKey
from ccsight.machines.inventory import Entry

#: An inventory with every key.
EXAMPLE = Path(__file__).with_name("inventory.toml")
_LOCK_SECONDS = 10.0


@dataclass(frozen=True)
class Candidate:
    """A machine that has no entry yet, where it answers, and its host key, with the place that has it."""

    name: str
    entry: Entry
    where: str
    key: HostKey


def candidate(text: str, name: str | None, deadline: Deadline) -> Candidate:
    """Ask a host for its key, and return what could be written down; nothing else is sent to it.

    Raises UsageError for a name that is taken or cannot be one, WrongHostKey where another key is known.
    """
    from ccsight.machines import ssh

    entry = inventory.hop(text)
    name = name or entry.address.partition(".")[0].lower()
    _prove_free(name)
    *before, last = reach.stops(replace(entry, name=name), deadline)
    shown = ssh.shown((*before, last), deadline.within(reach.PATIENCE))
    if last.trust.keys or any(shown.same(key) for key in last.trust.revoked):
        last.trust.judge(shown, name, last.where)
    known = next((key for key in last.trust.keys if key.same(shown)), shown)
    return Candidate(name, entry, f"{last.user}@{last.where}", known)


def _prove_free(name: str) -> None:
    if not inventory.NAME.fullmatch(name) or name in inventory.TAKEN:
        raise UsageError(
            f"{name!r} cannot be the name of a machine",
            next_step="--name NAME, of a-z, 0-9, dots, dashes and underscores",
        )
    there = inventory.entries() if inventory.file().exists() else {}
    if name in there:
        raise UsageError(
            f"{there[name].place} is there already, and stays as it is",
            next_step=f"--name OTHER, or edit {inventory.file()}",
        )


def prove(found: Candidate, fingerprint: str | None) -> None:
    """Raise WrongHostKey unless the key has the fingerprint that it was said to have, if any was."""
    if fingerprint and f"SHA256:{fingerprint.removeprefix('SHA256:').rstrip('=')}" != found.key.fingerprint:
        raise WrongHostKey(
            f"{found.name} shows another host key than the one with that fingerprint",
            evidence=f"{found.where} shows {found.key.kind} {found.key.fingerprint}",
            next_step="nothing was written; see who listens there",
        )


def table(found: Candidate) -> str:
    """Return the table of a machine, as TOML has it."""
    entry = found.entry
    user = [f"user = {quoted(entry.user)}"] if entry.user else []
    port = [f"port = {entry.port}"] if entry.port else []
    name = quoted(found.name) if "." in found.name else found.name
    rows = [f"[{name}]", f"address = {quoted(entry.address)}", *user, *port]
    return "\n".join([*rows, f"host-key = {quoted(found.key.text)}"]) + "\n"


def write(found: Candidate) -> None:
    """Put a machine behind those of the inventory, which keeps every byte that it has. Raises UsageError."""
    path = Path(os.path.realpath(inventory.file()))
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise store.explain(error, path.parent) from error
    with store.locked(path, Deadline(_LOCK_SECONDS)):
        _prove_free(found.name)
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        gap = "" if not before else "\n" if before.endswith("\n") else "\n\n"
        text = before + gap + table(found)
        inventory.read(text, str(path))  # raises before anything is written
        store.write_atomically(path, text.encode())
