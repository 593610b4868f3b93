"""Which part of a real machine's console is one boot of ours: firmware and other kernels speak there, too."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from ccsight.machines.console import GAP, plain
from ccsight.store import write_atomically

#: With what the log of every arm64 kernel begins (arch/arm64/kernel/setup.c, smp_setup_processor_id()).
_BEGINS = "Booting Linux on physical CPU"
#: Where it says what it was told; Linux may need several lines for that, one after the other.
_TOLD = "Kernel command line:"


@dataclass(frozen=True)
class _End:
    """Words after which no kernel speaks before the next one, one line that has them, and whose they are.

    ``own`` is whether the kernel itself says them: that line still is part of its boot.
    """

    words: re.Pattern[str]
    sample: str
    own: bool = False


_ENDS = (
    _End(re.compile(r"reboot: (Restarting system|Power down|System halted)"), "reboot: Power down", own=True),
    _End(re.compile(r"sysrq: Resetting$"), "[   99.1] sysrq: Resetting", own=True),
    _End(re.compile(r"^(NOTICE|INFO): +B[Ll](1|2|31)\b"), "NOTICE:  BL31: v2.10.0(release):"),
    _End(re.compile(r"^NOTICE: +Booting Trusted Firmware"), "NOTICE:  Booting Trusted Firmware"),
    _End(re.compile(r"^U-Boot (SPL |TPL )?20\d\d\.\d\d"), "U-Boot SPL 2024.01-rc4 (Jan 09 2024)"),
    _End(re.compile(r"^DDR [Vv]\d|^DDR Version "), "DDR Version V1.08 20220617"),
    _End(re.compile(r"^UEFI firmware \(version"), "UEFI firmware (version 2024.02 built at 12:00:00)"),
    _End(re.compile(r"^BdsDxe: "), 'BdsDxe: loading Boot0001 "debian" from HD(1,GPT)'),
    _End(re.compile(r"Welcome to GRUB!|GNU GRUB +version"), "Welcome to GRUB!"),
    _End(re.compile(r"^EFI stub: "), "EFI stub: Booting Linux Kernel..."),
)


@dataclass
class _Boot:
    """The lines of one boot, and the words that it was told; ``whole`` is whether it has its beginning."""

    whole: bool
    lines: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def of_boot(console: bytes, mark: str) -> bytes:
    """Return what a console has of the boot whose command line has ``ccsight.boot=MARK``; b"" for nothing.

    Its own words, from its first line to where the firmware or another kernel speaks. Where the beginning is
    lost, it begins with a gap. A boot that ended before it said its command line cannot be told from others.
    """
    word = f"ccsight.boot={mark}"
    ours = [boot for boot in _boots(console.decode("latin-1")) if word in boot.told]
    parts = ("\n".join([*([] if boot.whole else [GAP]), *boot.lines, ""]) for boot in ours)
    return "".join(parts).encode("latin-1")


def keep(console: Path, mark: str, into: Path) -> bool:
    """Write down what a console has of a boot; return whether it shows it."""
    try:
        found = of_boot(console.read_bytes(), mark)
    except FileNotFoundError:
        return False
    if found:
        write_atomically(into, found)
    return bool(found)


def _boots(console: str) -> Iterator[_Boot]:
    """Yield each boot; what is nobody's is left out: firmware, and what a console begins in the middle of."""
    boot: _Boot | None = None
    telling = False
    for line in console.split("\n"):
        words = plain(line)
        if not words:
            continue
        told = words.partition(_TOLD)[2].split() if _TOLD in words else []
        if _BEGINS in words or (told and not telling and (boot is None or boot.told not in ([], told))):
            if boot:
                yield boot
            boot = _Boot(whole=_BEGINS in words)
        if boot is None:
            continue
        end = None if _BEGINS in words else _end(words)
        if end is None or end.own:
            boot.lines.append(line)
        boot.told += told if telling or not boot.told else []
        telling = bool(told)
        if end:
            yield boot
            boot = None
    if boot:
        yield boot


def _end(words: str) -> _End | None:
    return next((row for row in _ENDS if row.words.search(words)), None)
