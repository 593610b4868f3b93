"""Pure judgements over captures: laws that hold on any one kernel, comparisons of two.

Importing this package fills the table in ``registry``. A new check is a new function here and a
unit test for each status it can give.
"""

from ccsight.checks import asymmetry, launch, laws, lists, reference
from ccsight.checks.registry import COMPARISONS, LAWS, Comparison, Law, judge, named

__all__ = [
    "COMPARISONS",
    "LAWS",
    "Comparison",
    "Law",
    "asymmetry",
    "judge",
    "launch",
    "laws",
    "lists",
    "named",
    "reference",
]
