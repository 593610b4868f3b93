"""Waivers: what somebody answers for, until a day. One of no use, or of too much, is a finding itself."""

from dataclasses import dataclass
from datetime import date

from ccsight.evidence.decision import Kind


@dataclass(frozen=True)
class Waiver:
    """What a check says of a field, on a machine of the fleet, in a direction; "" is any."""

    id: str
    check: str
    field: str
    machine: str
    direction: str
    reason: str
    owner: str
    expires: date

    @property
    def scope(self) -> str:
        """What it is for, in words."""
        parts = [self.check, self.field, self.machine, self.direction]
        return ", ".join(part for part in parts if part)

    @property
    def is_broad(self) -> bool:
        """Tell whether it would let all of a check, or of a direction, pass on every machine."""
        return not (self.field or self.machine)

    def has_expired(self, today: date) -> bool:
        """Tell whether it is of no effect any more: the day that it names is the first without it."""
        return today >= self.expires

    def fits(self, kind: Kind, check: str, machine: str) -> bool:
        """Tell whether it is for a check on a machine; which fields is for whoever knows them."""
        return self.check == check and self.machine in ("", machine) and self.direction in ("", kind)
