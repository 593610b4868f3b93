"""What kernels are known to do with the cache registers, as rows; which one a kernel does is *observed*.

A *behaviour* is a way in which KVM shows the registers. What it is known to do differently from a
law is a row of ``known``, with the rule that must then hold, never an exception in a check.
Versions are never compared: vendors backport.
"""

from dataclasses import dataclass

from ccsight.arm64.caches import listed
from ccsight.arm64.kvm_ids import ccsidr_selector
from ccsight.arm64.registers import SELECTORS
from ccsight.evidence.model import Capture, Vantage
from ccsight.kvm import known, known_guests, model, writes
from ccsight.kvm.known import Difference, Known


@dataclass(frozen=True)
class Behaviour:
    """A way in which KVM shows the cache registers; ``shows`` is the model of it, where there is one.

    ``takes`` is the model of what a VMM may write.
    """

    name: str
    says: str
    since: str
    source: str
    shows: model.Model | None = None
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
    takes=writes.native,
    known=known.NATIVE + known_guests.NATIVE,
)

NORMALISED = Behaviour(
    name="normalised",
    says="fabricates them",
    since="as Linux does since 7af0c2534f4c, v6.3",
    source='Linux 7af0c2534f4c ("KVM: arm64: Normalize cache configuration", in v6.3)',
    shows=model.normalised,
    takes=writes.normalised,
    known=known.NORMALISED + known_guests.NORMALISED,
)

#: No row fits. Nothing is known of it, so nothing is excused.
UNKNOWN = Behaviour(
    name="unknown", says="shows them in a way that ccsight does not know", since="", source=""
)


def observed(capture: Capture) -> Behaviour:
    """Return the behaviour that a capture shows, told by which CCSIDR_EL1 ids KVM lists.

    Native kernels list the caches that CLIDR_EL1 names; normalising ones list all fourteen selectors
    (Linux 7af0c2534f4c, write_demux_regids()).
    """
    views = [view for view in capture.launch if view.vantage is Vantage.USERSPACE]
    if not views or not capture.register_lists:
        return UNKNOWN
    clidr = views[0].value("CLIDR_EL1")
    selectors = {ccsidr_selector(kvm_id) for kvm_id in capture.register_lists[0].ids} - {None}
    if clidr is not None and selectors == {cache.selector for cache in listed(clidr)}:
        return NATIVE
    return NORMALISED if selectors == set(SELECTORS) else UNKNOWN
