"""What a real machine is and has, as one script there says it: ``equipment.sh`` asks, and changes nothing.

What comes back is untrusted: bounded, of known words only, and with an end, or it is none.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import InfraError
from ccsight.machines.model import Host

_SCRIPT = Path(__file__).with_name("equipment.sh")
_SECONDS = 60.0
_LONGEST = 1 << 15
_ANY = r"[ -~]{0,300}"
_THERE = "there"
#: What each word's value looks like.
_FORMS = {
    "user": r"[!-~]{1,64}",
    "root": r"root|sudo|nobody",
    "machine": r"[!-~]{1,64}",
    "release": r"[!-~]{1,64}",
    "kvm": r"absent|usable|refused",
    "boot": r"\d{0,15}",
    "tmp": r"\d{0,15}",
    "lockdown": _ANY,
    "secure-boot": r"\d{0,3}",
    "grub": _THERE,
    "extlinux": _THERE,
    "efi": _THERE,
    "loader": _ANY,
    "kexec": r"\d{0,3}",
    "kexec-program": _ANY,
    "command-line": _ANY,
    "watchdog": _ANY,
    "watchdog-file": _THERE,
}
#: Those that every machine says.
_ALWAYS = ("user", "root", "machine", "release", "kvm", "boot", "tmp", "command-line")


@dataclass(frozen=True)
class Equipment:
    """What a machine says of itself, by word."""

    said: Mapping[str, str]

    def one(self, word: str) -> str:
        """Return the value of a word, "" where it was not said."""
        return self.said.get(word, "")

    def free(self, place: str) -> int | None:
        """Return the bytes that are free in ``boot`` or ``tmp``; None where that is not known."""
        return int(self.one(place)) << 10 if self.one(place) else None

    @property
    def locked_down(self) -> str:
        """Why firmware or kernel let only signed kernels run; "" where nothing says so."""
        if self.one("secure-boot") == "1":
            return "Secure Boot is on"
        mode = re.search(r"\[(\w+)\]", self.one("lockdown"))
        return f"its kernel is locked down: {mode[1]}" if mode and mode[1] != "none" else ""

    @property
    def loaders(self) -> tuple[str, ...]:
        """The boot methods whose boot loader, or firmware, it has."""
        found = [name for name in ("grub", "extlinux", "efi") if self.one(name)]
        return ("systemd-boot", *found) if self.one("loader").startswith("systemd-boot") else tuple(found)


def look(host: Host, deadline: Deadline, *, sudo: bool) -> Equipment:
    """Ask a machine what it is and has, through sudo where that is allowed. Raises InfraError."""
    argv = ["sh", "-c", _SCRIPT.read_text(encoding="utf-8"), "sh", "sudo" if sudo else "none"]
    return parse(host.run(argv, deadline.within(_SECONDS), limit=_LONGEST).stdout)


def parse(content: bytes) -> Equipment:
    """Return what the script's output says. Raises InfraError for what it cannot say."""
    *lines, last = content.decode(errors="replace").splitlines() or [""]
    said: dict[str, str] = {}
    for line in lines:
        word, _, value = line.partition(" ")
        if word not in _FORMS or not re.fullmatch(_FORMS[word], value):
            raise _unlike(line)
        said[word] = value
    if last != "end" or set(_ALWAYS) - said.keys():
        raise _unlike(last)
    return Equipment(said)


def _unlike(line: str) -> InfraError:
    return InfraError(
        "what the machine says of itself cannot be read",
        evidence=repr(line[:200]),
        next_step="its login must say nothing of its own: try ssh MACHINE sh -c true",
    )
