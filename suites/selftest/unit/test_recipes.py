"""What README's recipes ask for is there, for every check: nothing of it is left to somebody's memory."""

import ast
import re
from pathlib import Path

import pytest

from ccsight import checks
from ccsight.checks import (
    AGREEMENTS,
    COMPARISONS,
    CROSSINGS,
    LAWS,
    LAWS_ON_REQUEST,
    RULES,
    TRIALS,
)

TOP = Path(__file__).parents[3]
CHECKS = sorted(LAWS | LAWS_ON_REQUEST | AGREEMENTS | TRIALS | COMPARISONS | CROSSINGS | RULES)
DECLARES = re.compile(r"^@(law|agreement|trial|comparison|crossing|rule)\(", re.MULTILINE)


def test_every_module_that_declares_a_check_is_imported():
    """A check whose module nobody imports is in no table: it is never judged, and nothing would say so."""
    tree = ast.parse(Path(checks.__file__).read_text())
    imported = {name.name for node in tree.body if isinstance(node, ast.ImportFrom) for name in node.names}
    declaring = {
        path.stem for path in Path(checks.__file__).parent.glob("*.py") if DECLARES.search(path.read_text())
    }
    assert declaring - {"registry"} <= imported
    assert len(declaring) > 10


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_has_a_test_that_shows_it(check):
    shown = [path.name for path in TOP.glob("suites/*/test_*.py") if f'check("{check}")' in path.read_text()]
    assert len(shown) == 1, shown


@pytest.mark.parametrize("check", [check for check in CHECKS if check not in RULES])
def test_readme_says_what_every_check_says(check):
    assert re.search(rf"^\| {check} \| (law|comparison)", (TOP / "README.md").read_text(), re.MULTILINE)
