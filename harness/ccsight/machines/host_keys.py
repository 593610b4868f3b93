"""Which host keys are a machine's: pinned in the inventory, else those in OpenSSH's known_hosts.

None is ever accepted by itself. known_hosts is asked through ``ssh-keygen -F``, which knows hashed names,
patterns, and all that a line may be.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ccsight import process
from ccsight.deadline import Deadline
from ccsight.errors import InfraError, ToolMissing

#: What a key's type may be called, and how much of one there may be.
_TYPE = re.compile(r"[a-z0-9@.-]{3,64}")
_LONGEST = 8192
_FOUND = re.compile(r"# Host .* found: line (\d+)")
_MARKERS = ("@revoked", "@cert-authority")
_SECONDS = 20.0


class WrongHostKey(InfraError):
    """Somebody else than the machine answered."""


class UnknownHostKey(InfraError):
    """Nobody has said which host key the machine has."""


@dataclass(frozen=True)
class HostKey:
    """A public key, ``ssh-ed25519 AAAA…``; ``place`` is where it was found, marker and all."""

    text: str
    place: str = ""

    @property
    def kind(self) -> str:
        """The type of the key, such as ``ssh-ed25519``."""
        return self.text.split()[0]

    @property
    def fingerprint(self) -> str:
        """What ``ssh-keygen -l`` says of it: ``SHA256:…``."""
        digest = hashlib.sha256(base64.b64decode(self.text.split()[1])).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"

    def same(self, other: "HostKey") -> bool:
        """Tell whether it is the same key, wherever it was found."""
        return self.text == other.text


@dataclass(frozen=True)
class Trust:
    """What is known of a machine's host keys.

    For messages: ``entry`` is where a key would be pinned, "" where the inventory has none of it;
    ``known_as`` is what ``file``, one of known_hosts, would call it.
    """

    keys: tuple[HostKey, ...]
    revoked: tuple[HostKey, ...] = ()
    authorities: tuple[HostKey, ...] = ()
    entry: str = ""
    known_as: str = ""
    file: str = "known_hosts"

    @property
    def kinds(self) -> tuple[str, ...]:
        """The types of the keys that are known, each once: those that the machine should be asked for."""
        return tuple(dict.fromkeys(key.kind for key in self.keys))

    def judge(self, offered: HostKey, name: str, where: str) -> None:
        """Raise unless ``name``, which answers at ``where``, has shown a key that is known to be its own.

        Raises WrongHostKey for another or a revoked one, UnknownHostKey where none is known.
        """
        shown = f"{where} shows {offered.kind} {offered.fingerprint}"
        for key in filter(offered.same, self.revoked):
            raise WrongHostKey(
                f"{name} shows a host key that was revoked",
                evidence=f"{shown}\nrevoked in {key.place}",
                next_step="nothing was sent to it; whoever revoked the key knows why",
            )
        if any(offered.same(key) for key in self.keys):
            return
        if self.keys:
            stand = [f"{key.place} has {key.kind} {key.fingerprint}" for key in self.keys]
            raise WrongHostKey(
                f"{name} shows another host key than the one that is known of it",
                evidence="\n".join([f"{shown}: {offered.text}", *stand]),
                next_step="nothing was sent to it; see who listens there. Only if its keys were made anew: "
                "take the old one out of that file, and put this one in",
            )
        signed = (
            "\ncertificates of host keys (@cert-authority) are not supported: the key must be known itself"
        )
        add = (
            f'put into {self.entry}:\nhost-key = "{offered.text}"'
            if self.entry
            else f"put into {self.file}:\n{self.known_as} {offered.text}"
        )
        raise UnknownHostKey(
            f"the host key of {name} is not known, and none is accepted by itself",
            evidence=shown + (signed if self.authorities else ""),
            next_step=f"compare that with ssh-keygen -lf on the machine, then {add}",
        )


def host_key(text: str, place: str) -> HostKey | None:
    """Return the key of a line ``TYPE BASE64 [COMMENT]``; None for what is no key."""
    kind, _, rest = text.strip().partition(" ")
    blob = rest.split()[0] if rest.split() else ""
    if len(text) > _LONGEST or not _TYPE.fullmatch(kind):
        return None
    try:
        content = base64.b64decode(blob, validate=True)
    except (binascii.Error, ValueError):
        return None
    # A key begins with its own type: a length of four bytes, and the word.
    inner = kind.encode()
    if content[:4] != len(inner).to_bytes(4) or content[4 : 4 + len(inner)] != inner:
        return None
    return HostKey(f"{kind} {blob}", place)


def known(name: str, files: Sequence[Path], deadline: Deadline) -> Trust:
    """Return what known_hosts files have of a host, by the name that they would have it under.

    Raises ToolMissing without OpenSSH's client, InfraError for a file that it cannot read.
    """
    trust = Trust((), known_as=name, file=str(next(iter(files), "known_hosts")))
    for file in files:
        if file.is_file():
            for marker, key in _lines(_found(name, file, deadline), file):
                trust = _with(trust, marker, key)
    return trust


def _with(trust: Trust, marker: str, key: HostKey) -> Trust:
    if marker == "@revoked":
        return replace(trust, revoked=(*trust.revoked, key))
    if marker == "@cert-authority":
        return replace(trust, authorities=(*trust.authorities, key))
    return replace(trust, keys=(*trust.keys, key))


def _found(asked: str, file: Path, deadline: Deadline) -> str:
    argv = ("ssh-keygen", "-F", asked, "-f", str(file))
    try:
        return process.run(argv, deadline.within(_SECONDS), expect=(0, 1)).text
    except ToolMissing as error:
        raise ToolMissing(
            "ssh-keygen is not on this system: known_hosts cannot be read",
            next_step="install OpenSSH's client: apt install openssh-client",
        ) from error


def _lines(said: str, file: Path) -> Iterator[tuple[str, HostKey]]:
    """Yield each line that was found, as its marker ("" for none) and its key."""
    number = ""
    for line in said.splitlines():
        if match := _FOUND.match(line):
            number = match[1]
            continue
        words = line.split()
        marker = words.pop(0) if words and words[0] in _MARKERS else ""
        place = f"{file}:{number}" + (f" ({marker})" if marker else "")
        if len(words) >= 3 and (key := host_key(" ".join(words[1:3]), place)):
            yield marker, key
