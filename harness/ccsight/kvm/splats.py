"""What a kernel prints when something is wrong with it, as rows; which lines of a console say so. Pure.

A *splat* is such a complaint with what follows it. Each kind has a line that a kernel really printed, which
the tests find by the row's pattern.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from ccsight.evidence.model import Splat, Substrate

#: Splats and lines of each that are kept: the first ones tell, the console's file has the rest.
_MOST, _KEPT = 32, 16
#: Lines after which what is printed has nothing to do with a splat whose end was not seen.
_LONGEST = 60
_END = re.compile(r"---\[ end (trace|Kernel panic)|^=+$")
_TIMESTAMP = re.compile(r"^(\[[ \d.]+\](\[ *[TC]\d+\])?) ?")


class Fault(StrEnum):
    """Whose fault a complaint is."""

    KERNEL = "kernel"
    #: Something took too long by the clock on the wall: an emulator that gets no CPU is enough for that.
    CLOCK = "clock"


@dataclass(frozen=True)
class Kind:
    """A kind of complaint: its name, the line it begins with, one that was really printed, whose fault."""

    name: str
    pattern: re.Pattern[str]
    sample: str
    fault: Fault = Fault.KERNEL
    oops: bool = False  #: one disaster prints several of these, one after the other


def _kind(name: str, pattern: str, sample: str, fault: Fault = Fault.KERNEL, *, oops: bool = False) -> Kind:
    return Kind(name, re.compile(pattern), sample, fault, oops)


#: The first row that fits a line names it.
KINDS = (
    _kind(
        "hyp panic",
        r"nVHE hyp (panic|BUG) at|HYP panic:",
        "kvm [426]: nVHE hyp panic at: [<ffffffc0096156fc>] __kvm_nvhe_overflow_stack+0x8/0x34!",
        oops=True,
    ),
    _kind("kernel BUG", r"kernel BUG at ", "kernel BUG at arch/arm64/kvm/inject_fault.c:40!", oops=True),
    _kind(
        "bad access",
        r"Unable to handle kernel |Unhandled .*exception on CPU|Bad mode in .* handler detected",
        "Unable to handle kernel execute from non-executable memory at virtual address ffffbd2fe97a3ba0",
        oops=True,
    ),
    _kind("oops", r"Internal error: ", "Internal error: Oops - BUG: 00000000f2000800 [#1]  SMP", oops=True),
    _kind(
        "panic",
        r"Kernel panic - not syncing",
        "Kernel panic - not syncing: VFS: Unable to mount root fs on unknown-block(0,0)",
        oops=True,
    ),
    _kind(
        "WARN",
        r"WARNING: (CPU: \d+ PID: \d+ at |\S+:\d+ at )",
        "WARNING: CPU: 1 PID: 1 at include/linux/msi.h:225 free_msi_irqs+0xbc/0x190",
    ),
    _kind("UBSAN", r"UBSAN: ", "UBSAN: shift-out-of-bounds in ../drivers/gpio/gpio-omap.c:496:14"),
    _kind("KASAN", r"BUG: KASAN: ", "BUG: KASAN: slab-use-after-free in __run_timers+0x208/0x654"),
    _kind(
        "KCSAN",
        r"BUG: KCSAN: ",
        "BUG: KCSAN: data-race in virtqueue_disable_cb / virtqueue_enable_cb_delayed",
    ),
    _kind(
        "KFENCE", r"BUG: KFENCE: ", "BUG: KFENCE: out-of-bounds read in test_out_of_bounds_read+0xa6/0x234"
    ),
    _kind(
        "lockdep",
        r"WARNING: (possible |suspicious RCU usage|inconsistent lock state|bad unlock balance|"
        r"lock held when returning|.*lock order detected)|\[ BUG: Invalid wait context \]|"
        r"BUG: held lock freed|INFO: trying to register non-static key|DEBUG_LOCKS_WARN_ON",
        "WARNING: possible circular locking dependency detected",
    ),
    _kind(
        "sleeping in atomic",
        r"BUG: (sleeping function called|scheduling while atomic)",
        "BUG: sleeping function called from invalid context at kernel/kallsyms.c:305",
    ),
    _kind(
        "rcu stall",
        r"INFO: rcu\w* (self-)?detected .*stall|rcu: .*kthread (starved|timer wakeup)",
        "rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
        Fault.CLOCK,
    ),
    _kind(
        "lockup",
        r"BUG: (soft|workqueue) lockup|hard LOCKUP",
        "watchdog: BUG: soft lockup - CPU#3 stuck for 26s! [insmod:458]",
        Fault.CLOCK,
    ),
    _kind(
        "hung task",
        r"INFO: task .* blocked for more than",
        "INFO: task ip:6024 blocked for more than 120 seconds.",
        Fault.CLOCK,
    ),
    _kind("BUG", r"(^|\s)BUG: ", "BUG: Bad page state in process kworker/u9:0  pfn:687de"),
)


@dataclass(frozen=True)
class _Known:
    """A complaint that is known, and where it is not held against a kernel: its kind, its words, and why."""

    kind: str
    words: re.Pattern[str]
    why: str


#: What kernels print on the emulated board for what the board is.
_ON_THE_BOARD = (
    _Known(
        "WARN",
        re.compile(r" at include/linux/msi\.h:\d+ \w*(msi|msix)_"),
        "the emulated board has no MSI controller, which Linux 5.10 tells of each PCI device with a WARN",
    ),
)
_EMULATED = "something took too long by the clock; an emulated machine that gets no CPU is enough for that"


def kind_of(line: str) -> Kind | None:
    """Return what a line complains of, or None."""
    return next((kind for kind in KINDS if kind.pattern.search(line)), None)


def splats(lines: Iterable[tuple[int, str]]) -> tuple[Splat, ...]:
    """Return the splats in numbered lines of a console, in order; no more than the first few."""
    found: list[Splat] = []
    for kind, text in _bundles(lines):
        if len(found) < _MOST:
            found.append(Splat(kind=kind.name, line=text[0][0], text=tuple(line for _, line in text[:_KEPT])))
    return tuple(found)


def _bundles(lines: Iterable[tuple[int, str]]) -> Iterator[tuple[Kind, list[tuple[int, str]]]]:
    """Yield each complaint with the lines that belong to it."""
    current: Kind | None = None
    text: list[tuple[int, str]] = []
    for number, raw in lines:
        line = _TIMESTAMP.sub("", raw)
        kind = kind_of(line)
        if kind and not (current and _goes_on(current, kind)):
            if current:
                yield current, text
            current, text = kind, []
        if current:
            text.append((number, line))
            if _END.search(line) or len(text) == _LONGEST:
                yield current, text
                current = None
    if current:
        yield current, text


def _goes_on(current: Kind, kind: Kind) -> bool:
    """Tell whether a complaint is another line of the one before: of a disaster, or of one slow moment."""
    return (current.oops and kind.oops) or (current == kind and kind.fault is Fault.CLOCK)


def excuse(splat: Splat, substrate: Substrate) -> str:
    """Return why a splat is not held against the kernel on such a machine, or ""."""
    if substrate is not Substrate.EMULATED:
        return ""
    if any(kind.name == splat.kind and kind.fault is Fault.CLOCK for kind in KINDS):
        return _EMULATED
    rows = (row for row in _ON_THE_BOARD if row.kind == splat.kind and row.words.search(splat.text[0]))
    return next((row.why for row in rows), "")
