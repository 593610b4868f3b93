"""What verbs that boot machines are told alike: declared once, and handed to the verb as one order."""

import functools
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ccsight.campaign import depths
from ccsight.campaign.depths import DepthOption
from ccsight.campaign.planning import DEFAULT_MACHINES
from ccsight.cli.options import (
    Number,
    inventory_option,
    json_option,
    out_option,
    silicon_option,
    verbose_option,
)
from ccsight.evidence.plan import Depth

if TYPE_CHECKING:
    from ccsight.campaign.compare import Request

Verb = Callable[..., Any]


@dataclass(frozen=True)
class Order:
    """What a verb that boots was told, beside its kernels.

    No ``machines`` means the usual ones. ``asks`` are the options by which the ``depth`` was asked for.
    """

    machines: tuple[str, ...]
    silicon: Path | None
    depth: Depth
    asks: tuple[DepthOption, ...]
    results: Path
    workers: int
    dry_run: bool
    as_json: bool
    verbose: bool = False
    inventory: Path | None = None

    def request(self, kernels: tuple[str, ...], *verb: str) -> "Request":
        """Return the run that is asked for; ``verb`` are the words before the options that repeat it."""
        from ccsight.campaign.compare import Request
        from ccsight.machines.silicon import load

        again = ("ccsight", *verb, *self.words)
        return Request(kernels, self.machines or DEFAULT_MACHINES, again, load(self.silicon), self.depth)

    @property
    def words(self) -> tuple[str, ...]:
        """The words by which all of this is asked for, but how it is shown."""
        words = [word for machine in self.machines for word in ("--on", machine)]
        words += ["--silicon", str(self.silicon)] if self.silicon else []
        words += ["--inventory", str(self.inventory)] if self.inventory else []
        return (*words, *depths.words(self.depth, self.asks))

    def carry_out(self, request: "Request") -> int:
        """Make the run and show it, or its plan. Returns the exit status."""
        from ccsight.campaign import compare as job

        if self.dry_run:
            return job.show_plan(request, as_json=self.as_json)
        run, kernels = job.start(self.results, request)
        return job.carry_out(run, kernels, job.Manner(self.workers, self.as_json, self.verbose))


def on_machines(text: str) -> Callable[[Verb], Verb]:
    """Return ``--on`` of a verb that takes any number of machines."""
    return click.option("--on", "machines", multiple=True, metavar="MACHINE", help=text)


def on_usual(what: str) -> Callable[[Verb], Verb]:
    """Return ``--on`` of a verb that does this on machines; it has the usual ones where none is named."""
    shown = ", ".join(machine.partition(":")[2] for machine in DEFAULT_MACHINES)
    return on_machines(f"Machine to {what} on; any number of times. [default: {shown}, emulated]")


def on_machine(text: str) -> Callable[[Verb], Verb]:
    """Return ``--on`` of a verb that is about one machine."""
    return click.option(
        "--on",
        "machines",
        required=True,
        metavar="MACHINE",
        callback=lambda _, __, named: (named,),
        help=text,
    )


workers_option = click.option(
    "--workers",
    type=Number(1),
    default=os.cpu_count() or 2,
    show_default="CPUs",
    metavar="N",
    help="How many machines run at once.",
)
dry_run_option = click.option("--dry-run", is_flag=True, help="Print the plan and how many boots it takes.")


def takes_order(
    machines: Callable[[Verb], Verb],
    base: Depth,
    asks: Iterable[DepthOption] = (),
    last: tuple[Callable[[Verb], Verb], ...] = (out_option, json_option, verbose_option),
) -> Callable[[Verb], Verb]:
    """Give a verb the options of an order, and the verb the order as ``order``.

    ``machines`` declares ``--on``, ``asks`` are the options that it may be told, beyond those of ``base``.
    """
    asked = tuple(asks)
    options: tuple[Callable[[Verb], Verb], ...]
    options = (
        machines,
        silicon_option,
        inventory_option,
        *map(_option, asked),
        workers_option,
        dry_run_option,
        *last,
    )

    def decorate(verb: Verb) -> Verb:
        @functools.wraps(verb)
        def ordered(**given: object) -> object:
            own: dict[str, Any] = {name: given.pop(name) for name in _OWN & given.keys()}
            told = {option.name: given.pop(option.name) for option in asked}
            depth = depths.depth(told, asked, base)
            return verb(order=Order(depth=depth, asks=asked, **own), **given)

        taker: Verb = ordered
        for option in reversed(options):
            taker = option(taker)
        return taker

    return decorate


#: The parameters of an order that are options of their own.
_OWN = {"machines", "silicon", "inventory", "results", "workers", "dry_run", "as_json", "verbose"}


def _option(option: DepthOption) -> Callable[[Verb], Verb]:
    if not option.metavar:
        return click.option(option.option, option.name, is_flag=True, help=option.help)
    usual = option.usual if option.usual >= option.least else None
    return click.option(
        option.option,
        option.name,
        type=Number(option.least, option.most),
        default=usual,
        show_default=usual is not None,
        metavar=option.metavar,
        help=option.help,
    )
