"""The versions of a distribution's kernel that lie between two of them, over all series, oldest first."""

from ccsight import specs
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import deb
from ccsight.kernels.index import LISTING, Index
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report


def ordered(good: Spec, bad: Spec, deadline: Deadline, report: Report) -> tuple[tuple[str, ...], str, str]:
    """Return the specs of all versions that the archive has of a flavour, and those of the two ends.

    A series without a version means its newest. Raises UsageError for what the archive does not have.
    """
    known = LISTING.load(deadline, report)
    ends = (_pinned(known, good), _pinned(known, bad))
    flavour = good.option("flavour") or ""
    rows = [
        (series, row.version)
        for series in known.series()
        for row in known.images(series, flavour)
        if row.sha256 not in known.gone
    ]
    every = tuple(_spec(good, series, version) for series, version in rows)
    if lost := [end for end in ends if end not in every]:
        raise UsageError(
            f"the archive lists {lost[0]}, but does not have its files", next_step="ccsight kernels"
        )
    return every, *ends


def _pinned(known: Index, spec: Spec) -> str:
    rows = deb.candidates(known, spec)
    row = next((row for row in rows if row.sha256 not in known.gone), rows[0])
    return _spec(spec, row.series, row.version)


def _spec(like: Spec, series: str, version: str) -> str:
    kept = tuple(option for option in like.options if option[0] != "name")
    return specs.render("deb", f"{series}={version}", kept)
