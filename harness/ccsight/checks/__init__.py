"""Pure judgements over captures: laws that hold on any one kernel, also between machines; comparisons of two.

Importing this package fills the table in ``registry``. A new check is a new function here and a
unit test for each status it can give.
"""

from ccsight.checks import (
    asymmetry,
    boots,
    coherency,
    console,
    guest,
    launch,
    laws,
    life,
    linux,
    lists,
    migration,
    modes,
    reference,
    rules,
    writes,
)
from ccsight.checks.registry import (
    AGREEMENTS,
    COMPARISONS,
    CROSSINGS,
    LAWS,
    LAWS_ON_REQUEST,
    RULES,
    TRIALS,
    Agreement,
    Comparison,
    Law,
    Trial,
    judge,
    named,
)

__all__ = [
    "AGREEMENTS",
    "COMPARISONS",
    "CROSSINGS",
    "LAWS",
    "LAWS_ON_REQUEST",
    "RULES",
    "TRIALS",
    "Agreement",
    "Comparison",
    "Law",
    "Trial",
    "asymmetry",
    "boots",
    "coherency",
    "console",
    "guest",
    "judge",
    "launch",
    "laws",
    "life",
    "linux",
    "lists",
    "migration",
    "modes",
    "named",
    "reference",
    "rules",
    "writes",
]
