"""The type of a live migration's evidence: a guest that a real VMM moved between two hosts, or tried to.

Only what the two VMMs and the guest said; whether that was to be expected is judged.
"""

from ccsight.evidence.record import Record
from ccsight.evidence.views import Cell, View

#: The phase of a guest that goes on at its source after its VMM's migration failed.
BACK = "back"


class Live(Record, frozen=True):
    """A guest that was moved live from a source to a destination by one version of a VMM.

    ``status`` is what the source's VMM says of the migration when it has ended, ``why`` its reason.
    ``arrived`` is whether the guest went on at the destination, ``returned`` whether it went on at the source
    where it did not arrive, and ``by_itself`` whether it did so without being told to. ``source_words`` and
    ``words`` are all that the VMMs of the source and of the destination said to their users. ``before`` and
    ``after`` are the last rounds on the guest's console: at the source, and where it went on. ``views`` are
    what a guest of ours says there: what vCPU 0 remembers, and what it reads.
    """

    source: Cell
    destination: Cell
    vmm: str
    status: str
    why: str
    arrived: bool
    returned: bool
    by_itself: bool
    source_words: str
    words: str
    before: str
    after: str
    views: tuple[View, ...] = ()
