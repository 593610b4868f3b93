"""What kernels are known to do with the cache registers, as rows; which one a kernel does is *observed*.

A *behaviour* is a way in which KVM shows the registers. What it is known to do differently from a
law is a row of ``known``, with the rule that must then hold, never an exception in a check.
Versions are never compared: vendors backport.
"""

from collections.abc import Callable
from dataclasses import dataclass

from ccsight.arm64.caches import listed
from ccsight.arm64.registers import SELECTORS
from ccsight.evidence.views import Evidence
from ccsight.kvm import known, known_guests, model, writes
from ccsight.kvm.hosts import told_lists
from ccsight.kvm.known import Difference, Known


@dataclass(frozen=True)
class Behaviour:
    """A way in which KVM shows the cache registers; ``shows`` is the model of it, where there is one.

    ``lists`` is that of the sizes for which KVM has an id, given CLIDR_EL1; ``takes`` that of what a VMM
    may write.
    """

    name: str
    says: str
    since: str
    source: str
    shows: model.Model | None = None
    lists: Callable[[int], frozenset[int]] | None = None
    takes: writes.Model | None = None
    known: tuple[Known, ...] = ()

    @property
    def title(self) -> str:
        """What it does, and which kernels do it."""
        return f"{self.says} ({self.since})" if self.since else self.says

    def excuse(self, check: str, difference: Difference) -> str:
        """Return why a difference is known, or "" when it is not."""
        return next((row.why for row in self.known if row.explains(check, difference)), "")


NATIVE = Behaviour(
    name="native",
    says="shows guests the physical CPU's caches",
    since="as Linux did up to v6.2",
    source="Linux v6.2, arch/arm64/kvm/sys_regs.c",
    shows=model.native,
    lists=lambda clidr: frozenset(cache.selector for cache in listed(clidr)),
    takes=writes.native,
    known=known.NATIVE + known_guests.NATIVE,
)

NORMALISED = Behaviour(
    name="normalised",
    says="fabricates the caches that guests see",
    since="as Linux does since 7af0c2534f4c, v6.3",
    source='Linux 7af0c2534f4c ("KVM: arm64: Normalize cache configuration", in v6.3)',
    shows=model.normalised,
    lists=lambda clidr: frozenset(SELECTORS),
    takes=writes.normalised,
    known=known.NORMALISED + known_guests.NORMALISED,
)

BEHAVIOURS = (NATIVE, NORMALISED)

#: No row fits. Nothing is known of it, so nothing is excused.
UNKNOWN = Behaviour(
    name="unknown", says="shows them in a way that ccsight does not know", since="", source=""
)


def observed(capture: Evidence) -> Behaviour:
    """Return the behaviour that evidence shows, told by which CCSIDR_EL1 ids KVM lists.

    Native kernels list the caches that CLIDR_EL1 names; normalising ones list all fourteen selectors
    (Linux 7af0c2534f4c, write_demux_regids()).
    """
    ids, clidr = told_lists(capture)
    fits = (each for each in BEHAVIOURS if each.lists and clidr is not None and each.lists(clidr) == ids)
    return next(fits, UNKNOWN)
