"""A machine as it stands: which kernel runs there, in which boot, and whether its KVM can be used.

One script says it in one go. What comes back is untrusted: bounded, and of known words, each once.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

from ccsight.deadline import Deadline
from ccsight.errors import InfraError, NoKvm, UsageError
from ccsight.machines import answers
from ccsight.machines.model import Host

_SCRIPT = Path(__file__).with_name("standing.sh")
_LONGEST = 1 << 16
_SECONDS = 60.0
_NATIVE = ("aarch64", "arm64")
#: What each word's value looks like; all but the last must be there.
_FORMS = {
    "user": r"\S{1,64}",
    "uid": r"\d{1,10}",
    "machine": r"\S{1,64}",
    "release": r"[!-~]{1,64}",
    "banner": r"Linux version .*",
    "notes": r"(?:[0-9a-f]{2})*",
    "boot-id": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "cpus": r"[1-9]\d{0,4}",
    "kvm": r"absent|usable|refused: .*",
}
_OPTIONAL = {"programs": r"run"}


@dataclass(frozen=True)
class Standing:
    """What a machine says of itself. ``kvm`` is "usable", "absent", or who may open /dev/kvm.

    ``programs_run`` tells whether a file in /tmp may be run: that is where the probe goes.
    """

    user: str
    root: bool
    machine: str
    release: str
    banner: str
    notes: bytes
    boot_id: str
    cpus: int
    kvm: str
    programs_run: bool

    def prove_usable(self, name: str) -> None:
        """Raise UsageError for a machine that is not arm64, NoKvm for one whose KVM this user cannot use."""
        if self.machine not in _NATIVE:
            raise UsageError(
                f"{name} is not an arm64 machine",
                evidence=f"it is {self.machine}",
                next_step="only an arm64 CPU has the registers that this is about",
            )
        if self.kvm != "usable":
            absent = self.kvm == "absent"
            raise NoKvm(
                f"the KVM of {name} cannot be used by {self.user}",
                evidence="there is no /dev/kvm"
                if absent
                else f"/dev/kvm is {self.kvm.removeprefix('refused: ')}",
                next_step="KVM needs CONFIG_KVM, and a kernel that was entered at EL2: dmesg | grep -i kvm"
                if absent
                else f"there, as root: usermod -aG kvm {self.user}; or sudo = true in its entry",
            )
        if not self.programs_run:
            raise InfraError(
                f"no program can be run from /tmp of {name}",
                evidence=f"{self.user} could not write and run a file there",
                next_step="see whether it is full, or mounted with noexec",
            )


def look(host: Host, name: str, deadline: Deadline) -> Standing:
    """Ask a machine how it stands. Raises InfraError for an answer that cannot be."""
    trial = f"/tmp/ccsight-{secrets.token_hex(8)}"  # noqa: S108 - a name that nobody can guess
    argv = ["sh", "-c", _SCRIPT.read_text(encoding="utf-8"), "sh", trial]
    done = host.run(argv, deadline.within(_SECONDS), limit=_LONGEST)
    if done.returncode and not done.stdout:
        raise answers.none(name, done)
    return parse(done.stdout, name)


def parse(content: bytes, name: str) -> Standing:
    """Return what the script's output says. Raises InfraError for what it cannot say."""
    said = answers.read(content, _FORMS | _OPTIONAL, _FORMS, name)
    return Standing(
        user=said["user"],
        root=said["uid"] == "0",
        machine=said["machine"],
        release=said["release"],
        banner=said["banner"],
        notes=bytes.fromhex(said["notes"]),
        boot_id=said["boot-id"],
        cpus=int(said["cpus"]),
        kvm=said["kvm"],
        programs_run="programs" in said,
    )
