"""What is marked ``matrix`` runs only when -m names it: else a push would take hours."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

CONFTEST = Path(__file__).parents[2] / "conftest.py"


def selected(expression: str) -> tuple[list[str], list[str]]:
    """Return which of two tests stay, and which pytest is told of as deselected."""
    items = [
        SimpleNamespace(name=name, get_closest_marker=lambda marker, name=name: marker == name or None)
        for name in ("long", "matrix")
    ]
    told: list[str] = []
    hook = SimpleNamespace(pytest_deselected=lambda items: told.extend(item.name for item in items))
    config = SimpleNamespace(getoption={"markexpr": expression}.__getitem__, hook=hook)
    runpy.run_path(str(CONFTEST))["pytest_collection_modifyitems"](config, items)
    return [item.name for item in items], told


@pytest.mark.parametrize("expression", ["", "long", "emulated", "not long"])
def test_the_matrix_is_left_out(expression):
    assert selected(expression) == (["long"], ["matrix"])


@pytest.mark.parametrize("expression", ["matrix", "emulated and matrix"])
def test_the_matrix_can_be_asked_for(expression):
    assert selected(expression) == (["long", "matrix"], [])
