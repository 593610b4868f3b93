"""What can be asked in every cell, beyond the usual: an option a row, the same for all verbs and pytest."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import structs

from ccsight.evidence.plan import Depth
from ccsight.evidence.views import FUZZ_MOST, FUZZ_VALUES


@dataclass(frozen=True)
class DepthOption:
    """A field of :class:`Depth`, and the option by which it is asked for.

    An option with a ``metavar`` takes a number from ``least`` to ``most``; any other is a flag, and one that
    begins with ``--no-`` takes the field away. ``usual`` is what the option is where nobody gives it, and
    ``suite`` the tests that judge what it asks for.
    """

    field: str
    option: str
    help: str
    metavar: str = ""
    least: int = 0
    most: int | None = None
    usual: int = 0
    suite: str = ""

    @property
    def name(self) -> str:
        """What a parser of options calls it: ``no_migrate``."""
        return self.option.lstrip("-").replace("-", "_")

    def asked(self, given: object) -> object:
        """Return the field's value for what was given with the option."""
        if self.metavar:
            return self.usual if given is None else given
        return bool(given) is not self.option.startswith("--no-")

    def words(self, depth: Depth) -> tuple[str, ...]:
        """Return the option as it asks for this depth: nothing where that needs none."""
        value = getattr(depth, self.field)
        if value == self.asked(self.usual):
            return ()
        return (self.option, f"{value}") if self.metavar else (self.option,)


DEPTH_OPTIONS = (
    DepthOption(
        "fuzz",
        "--fuzz",
        "How many random values are written in each boot.",
        metavar="N",
        most=FUZZ_MOST,
        usual=FUZZ_VALUES,
    ),
    DepthOption(
        "linux",
        "--linux",
        "Boot each kernel as a guest of itself, too, and look into its sysfs (CR-016).",
        suite="suites/linux",
    ),
    DepthOption("migrate", "--no-migrate", "Save and restore no VMs: leave CR-006 to CR-008 out."),
    DepthOption(
        "across", "--across", "Restore each VM on every other machine, too, under every kernel (CR-020)."
    ),
    DepthOption(
        "native_cap",
        "--native-cap",
        "Number of a KVM capability that loads a CPU's own caches into a VM: one more strategy.",
        metavar="NUMBER",
        least=1,
    ),
    DepthOption(
        "pmu", "--pmu", "Give the VMs a PMU, as QEMU does unless it is told not to: some 70 registers more."
    ),
    DepthOption(
        "rules",
        "--rules",
        "Hold the new kernel to the three rules for migration (see suites/rollback): a broken one FAILs.",
        suite="suites/rollback",
    ),
)


def named(*fields: str) -> tuple[DepthOption, ...]:
    """Return the options of these fields, in the table's order."""
    return tuple(option for option in DEPTH_OPTIONS if option.field in fields)


def depth(given: Mapping[str, object], options: Iterable[DepthOption], base: Depth) -> Depth:
    """Return how deep to ask, by what was given with these options; all else is as in ``base``."""
    fields: dict[str, Any] = {option.field: option.asked(given[option.name]) for option in options}
    return structs.replace(base, **fields)


def words(asked: Depth, options: Iterable[DepthOption] = DEPTH_OPTIONS) -> tuple[str, ...]:
    """Return the words by which a depth is asked for."""
    return tuple(word for option in options for word in option.words(asked))
