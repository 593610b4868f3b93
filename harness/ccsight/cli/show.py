"""``ccsight show``: show a run again; what an option makes another job has a module of its own."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import click

from ccsight.cli.options import json_option, out_option, told, verbose_option
from ccsight.cli.show_bundle import bundle_options, show_packed, show_proved
from ccsight.cli.show_history import history_options, show_history
from ccsight.cli.show_prune import prune_options, show_pruned
from ccsight.cli.show_texts import show_kcidb, show_ktap, show_mail, text_options
from ccsight.errors import UsageError


@dataclass(frozen=True)
class _Job:
    """What is done for an option: ``do`` takes the folder of runs, the option's value where it has one, and
    the values of the parameters that go ``with_it``; no others may be given.
    """

    do: Callable[..., int]
    with_it: tuple[str, ...]

    def done(self, given: Mapping[str, object], option: str = "") -> int:
        """Do it, with what was given. Returns the exit status."""
        own = () if given.get(option) in (None, True) else (option,)
        return self.do(given["results"], **{name: given[name] for name in (*own, *self.with_it)})


@click.command()
@click.argument("run", default="latest")
@click.option(
    "--where",
    metavar="PREDICATE",
    help="Only machines with a kernel of which this is true; its language: ccsight explain predicate",
)
@text_options
@history_options
@prune_options
@bundle_options
@out_option
@json_option
@verbose_option
@click.pass_context
def show(context: click.Context, /, **given: object) -> int:
    """Show a RUN again: its id, its folder, a bundle of it, or "latest" (the default).

    Nothing is booted. The evidence is judged anew; a planned case without evidence reads MISS, so an
    interrupted run says what it is. Exits as the run itself did, also with --mail,
    --ktap and --kcidb.

    With --where each kernel on each machine first answers yes, no, or that it was not observed, and what
    was seen. Exits 0 where all say yes, 1 where any says no, 3 where it was not observed.

    With --history one check is followed through all runs: where it changed with the kernel, and where it
    flaps, which is two verdicts on the same build-id. Exits as the newest run of each kernel on each
    machine did, and 1 where a FAIL comes and goes.

    With --prune old runs are removed: never the latest, one that is being written, a bisection, or
    whatever else is not a run.

    With --bundle the run is packed into one file, which shows elsewhere what its folder shows here; a
    single altered bit of it is refused, with exit status 2. --verify says who signed it.

    \b
    Examples:
      ccsight show --where 'guest.CLIDR_EL1.LoC == 2'
      ccsight show RUN --where 'guest != userspace and not check CR-004'
      ccsight show --where 'migrate(deb:6.1 -> this) at worst visible'
      ccsight show --mail
      ccsight show --history CR-004 --on emulated:neoverse-n1
      ccsight show --prune --older-than 30 --keep 10 --dry-run
      ccsight show --bundle run.zip --sign ~/.ssh/id_ed25519
      ccsight show run.zip --verify --signers allowed_signers
    """
    jobs = [option for option in _JOBS if told(context, [option])]
    option = jobs[0] if jobs else ""
    job = _JOBS.get(option, _AGAIN)
    _refuse_strangers(context, option, job)
    return job.done(given, option)


def _refuse_strangers(context: click.Context, option: str, job: _Job) -> None:
    """Refuse two jobs at once, and options that would be ignored because their job was not asked for."""
    params = {str(param.name) for param in context.command.params} - {"results", option, *job.with_it}
    if others := told(context, params):
        what = told(context, [option]) or ["showing a run"]
        raise UsageError(
            f"{' and '.join(others)} {'do' if others[1:] else 'does'} not go with {what[0]}",
            next_step="ccsight show --help",
        )


def _again(results: Path, run: str, *, as_json: bool, verbose: bool) -> int:
    from ccsight.campaign.compare import present
    from ccsight.evidence.run import find_run
    from ccsight.report.model import Result

    return present(Result.of(find_run(results, run)), as_json=as_json, verbose=verbose)


def _answer(results: Path, where: str, run: str, *, as_json: bool, verbose: bool) -> int:
    from ccsight.checks.predicates import parse
    from ccsight.evidence.run import find_run, read_capture
    from ccsight.report import console
    from ccsight.report.model import Result
    from ccsight.report.where import answered, document, exit_code, render

    predicate = parse(where)
    files = {name: read_capture(Path(name)) for name in predicate.files}
    result = Result.of(find_run(results, run))
    answers = answered(result, predicate, files)
    if as_json:
        console.write_bytes(document(result, predicate, answers))
    else:
        console.output().print(render(result, predicate, answers, verbose=verbose))
    return exit_code(answers)


_AGAIN = _Job(_again, ("run", "as_json", "verbose"))
#: By the option that asks for it; with none of them, a run is shown.
_JOBS = {
    "where": _Job(_answer, ("run", "as_json", "verbose")),
    "mail": _Job(show_mail, ("run", "names")),
    "ktap": _Job(show_ktap, ("run",)),
    "kcidb": _Job(show_kcidb, ("run", "names", "origin")),
    "history": _Job(show_history, ("machines", "as_json")),
    "prune": _Job(show_pruned, ("days", "keep", "dry_run", "as_json")),
    "bundle": _Job(show_packed, ("run", "sign", "policy", "as_json")),
    "verify": _Job(show_proved, ("run", "signers", "as_json")),
}
