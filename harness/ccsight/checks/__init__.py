"""Pure judgements over captures: laws that hold on any one kernel, also between machines; comparisons of two.

Importing this package fills the table in ``registry``. A new check is a new function here and a
unit test for each status it can give.
"""

from ccsight.checks import asymmetry, console, guest, launch, laws, life, lists, modes, reference, writes
from ccsight.checks.registry import AGREEMENTS, COMPARISONS, LAWS, Agreement, Comparison, Law, judge, named

__all__ = [
    "AGREEMENTS",
    "COMPARISONS",
    "LAWS",
    "Agreement",
    "Comparison",
    "Law",
    "asymmetry",
    "console",
    "guest",
    "judge",
    "launch",
    "laws",
    "life",
    "lists",
    "modes",
    "named",
    "reference",
    "writes",
]
