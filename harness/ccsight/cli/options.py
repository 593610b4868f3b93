"""Options that several verbs share, each declared once; those of verbs that boot are in ``orders``."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from ccsight.errors import UsageError

_DEFAULT = ParameterSource.DEFAULT
T = TypeVar("T", bound=Callable[..., Any])


class Number(click.IntRange):
    """A whole number within bounds, which a message calls just that."""

    name = "number"


def told(context: click.Context, names: Iterable[str]) -> list[str]:
    """Return those of the parameters with these names that were given, as one writes them: ``--dry-run``."""
    params = (param for param in context.command.params if param.name in set(names))
    given = (param for param in params if context.get_parameter_source(str(param.name)) is not _DEFAULT)
    return [
        max(param.opts, key=len) if param.opts[0][0] == "-" else param.human_readable_name for param in given
    ]


def refuse_others(context: click.Context, names: Iterable[str], what: str) -> None:
    """Refuse options beside --resume that would be ignored: what goes on does what it was begun with."""
    if others := told(context, names):
        raise UsageError(
            f"--resume goes on with the {what} as it was begun",
            evidence=f"given as well: {', '.join(others)}",
            next_step="leave that out, or begin anew without --resume",
        )


def results_option(name: str) -> Callable[[T], T]:
    """Return the option of this name that says where runs lie."""
    return click.option(
        name,
        "results",
        type=click.Path(path_type=Path, file_okay=False),
        default=Path("results"),
        show_default=True,
        help="Folder that holds the runs.",
    )


out_option = results_option("--out")
json_option = click.option(
    "--json", "as_json", is_flag=True, help="One JSON object on stdout; narration stays on stderr."
)
silicon_option = click.option(
    "--silicon",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Rows of your own for the silicon table; start from: ccsight machines show NAME --toml",
)


def _choose(context: click.Context, param: click.Parameter, path: Path | None) -> Path | None:
    if path:
        from ccsight.machines import inventory

        inventory.choose(path)
    return path


#: Taken as soon as it is read: the workers of a run, too, look machines up in that file.
inventory_option = click.option(
    "--inventory",
    type=click.Path(path_type=Path),
    metavar="FILE",
    callback=_choose,
    help="Machines of your own [~/.config/ccsight/machines.toml]; start from: ccsight machines add --example",
)
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Every field of every register.")
