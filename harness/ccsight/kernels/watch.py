"""Reads along while make runs: how far it is, and what it means when it fails."""

import re
import time
from dataclasses import dataclass, field
from pathlib import Path

from ccsight.errors import InfraError, NoSpace, ToolMissing
from ccsight.toolbox.tools import Report

#: Seconds between two lines about a build that goes on.
_PULSE = 10.0
_STEP = re.compile(r"^  (CC|AS|LD|AR|HOSTCC|VDSO\d*|NVHE|HYP\w*|OBJCOPY|GEN|CHK|UPD|SYSMAP|KSYMS)\b")
#: What a compiler or linker says when the source is wrong ...
_AT_FAULT = re.compile(
    r"^(?P<file>[^\s:]+\.[chSl\w]+):(?P<line>\d+)(?::\d+)?: (?:fatal )?error: (?P<said>.*)$"
)
_UNLINKED = re.compile(r"(?P<said>(?:\S+: )?undefined reference to .*|^ERROR: modpost: .*)$")
#: ... and what is said when this system is.
_EXHAUSTED = re.compile(
    r"Killed|virtual memory exhausted|Cannot allocate memory|out of memory", re.IGNORECASE
)
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded")
#: Headers of libraries that programs of the build itself are made with, and the package that has them.
_HEADERS = {"openssl": "libssl-dev", "libelf": "libelf-dev", "gelf": "libelf-dev"}
_NO_HEADER = re.compile(rf"fatal error: (?P<library>{'|'.join(_HEADERS)})(/|\.h)\S*: No such file")


class MakeFailed(InfraError):
    """A make ended in an error, and not because this system has too little of something."""


class CompileError(MakeFailed):
    """The compiler or the linker refuses the source. Whose fault that is takes a build of the base."""


@dataclass
class Watch:
    """Follows a build's output: counts, keeps what went wrong, and says now and then how far it is."""

    title: str
    report: Report
    errors: list[str] = field(default_factory=list)
    steps: int = 0
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)

    def line(self, line: str) -> None:
        """Take one line of output."""
        self.steps += bool(_STEP.match(line))
        if _AT_FAULT.match(line) or _UNLINKED.search(line):
            self.errors.append(line)
        if time.monotonic() - self.told > _PULSE:
            self.told = time.monotonic()
            self.say("building")

    def say(self, stage: str) -> None:
        """Report a stage, the number of files done and the seconds since the start."""
        self.report(f"{stage} {self.title}: {self.steps} files, {time.monotonic() - self.began:.0f} s")

    def failure(self, log: Path, machine: str) -> InfraError:
        """Return what a failed make means, by what it printed; ``machine`` is where it ran, "" for here."""
        lines = log.read_text(errors="replace").splitlines()
        last = "\n            ".join(lines[-6:])
        if any(_DISK_FULL.search(line) for line in lines[-200:]):
            return NoSpace(
                f"no space left while building {self.title}",
                evidence=last,
                next_step=f"free some in /var/tmp of {machine}" if machine else "ccsight kernels prune",
            )
        if any(_EXHAUSTED.search(line) for line in lines[-200:]):
            return InfraError(
                f"building {self.title} ran out of memory", evidence=last, next_step=f"read {log}"
            )
        if lacking := next(filter(None, map(_NO_HEADER.search, self.errors)), None):
            return ToolMissing(
                f"building {self.title} needs the headers of {lacking['library']}",
                evidence=last,
                next_step=f"{f'on {machine}' if machine else 'here'}, as root: "
                f"apt-get install {_HEADERS[lacking['library']]}",
            )
        if self.errors:
            return CompileError(
                f"{self.title} does not build: {self.errors[0]}",
                evidence=last,
                next_step=f"the whole log: {log}",
            )
        return MakeFailed(f"make failed for {self.title}", evidence=last, next_step=f"the whole log: {log}")
