"""``ccsight gate``: may a roll-out go on?"""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ccsight.cli.options import json_option, out_option, verbose_option
from ccsight.errors import UsageError, reason

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ccsight.evidence.decision import Decision
    from ccsight.gate.gather import Evidence
    from ccsight.gate.load import Loaded
    from ccsight.gate.policy import Policy

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command()
@click.argument("runs", nargs=-1, metavar="RUN...")
@click.option("--policy", "policy_file", type=_FILE, metavar="FILE", help="What the roll-out has to show.")
@click.option("--example", is_flag=True, help="Print a policy with every key and what it means.")
@click.option(
    "--update-baseline", is_flag=True, help="Write what the new kernel shows, for review in a diff."
)
@click.option("--junit", type=_FILE, metavar="FILE", help="Write JUnit XML, too.")
@click.option("--markdown", type=_FILE, metavar="FILE", help="Write a summary in Markdown, too.")
@click.option("--html", type=_FILE, metavar="FILE", help="Write one page to look at together, too.")
@out_option
@json_option
@verbose_option
def gate(
    runs: tuple[str, ...],
    policy_file: Path | None,
    example: bool,
    update_baseline: bool,
    junit: Path | None,
    markdown: Path | None,
    html: Path | None,
    results: Path,
    as_json: bool,
    verbose: bool,
) -> int:
    """Say ADVANCE, HOLD or REVERT of a roll-out, by a policy and the evidence of each RUN.

    A RUN is a folder, a bundle, an id, or "latest". Nothing is booted: evidence is judged anew. REVERT
    takes evidence that the new kernel does harm now; whatever else is not met, or not known, is HOLD.
    Without --policy that of a bundle counts, where one carries it.

    \b
    Exits 0 for ADVANCE alone, 1 for HOLD and REVERT, 2 for a wrong call.

    \b
    Examples:
      ccsight gate --example > rollout.toml
      ccsight gate latest --policy rollout.toml
      ccsight gate results/2026-* --policy rollout.toml --markdown summary.md
      ccsight gate latest --policy rollout.toml --html decision.html
    """
    from ccsight.gate.carried import carried
    from ccsight.gate.load import load
    from ccsight.gate.policy_file import EXAMPLE
    from ccsight.report import console

    if example:
        console.write_bytes(EXAMPLE.read_bytes())
        return 0
    policy_file = policy_file or carried(runs, results)
    if policy_file is None or not runs:
        lacks = "no --policy" if policy_file is None else "no RUN"
        next_step = "write a policy: ccsight gate --example; then: ccsight gate RUN --policy FILE"
        raise UsageError(f"a gate needs runs and a policy: {lacks}", next_step=next_step)
    policy = _policy(policy_file)
    decision, evidence = _decision(runs, policy, results)
    _publish(decision, junit, markdown)
    if html:
        _draw(html, decision, evidence, policy, load(runs, results))
    if update_baseline:
        _update(evidence, policy, results, decision.now)
    if as_json:
        from ccsight.report import decision as json_report

        console.write_bytes(json_report.document(decision))
    else:
        from ccsight.report.decision import render

        console.output().print(render(decision, verbose=verbose))
    return decision.exit_code


def _policy(path: Path) -> "Policy":
    from ccsight.gate.policy_file import read

    return read(_text(path), str(path))


def _text(path: Path) -> str:
    from ccsight.evidence.bundle import located

    try:
        return located(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} cannot be read", evidence=reason(error), next_step="write one: ccsight gate --example"
        ) from error


def _decision(runs: tuple[str, ...], policy: "Policy", results: Path) -> "tuple[Decision, Evidence]":
    import os
    from datetime import UTC, datetime

    from ccsight.campaign.pool import local_pool
    from ccsight.gate import baseline
    from ccsight.gate.carried import remarks
    from ccsight.gate.decide import decide
    from ccsight.gate.gather import gather
    from ccsight.gate.load import load

    paths = {each.name: baseline.path(results / "baselines", each.name, policy) for each in policy.fleet}
    committed = {name: path.read_text(encoding="utf-8") for name, path in paths.items() if path.is_file()}
    with local_pool(os.cpu_count() or 1, lambda *_: None) as pool:
        evidence = gather(load(runs, results), policy, committed, pool)
    evidence.notes += remarks(runs, results, Path(policy.file))
    return decide(evidence, policy, datetime.now(UTC)), evidence


def _publish(decision: "Decision", junit: Path | None, markdown: Path | None) -> None:
    from ccsight.report import decision as text
    from ccsight.report.junit import decided
    from ccsight.store import write_atomically

    if junit:
        write_atomically(junit, decided(decision))
    if markdown:
        write_atomically(markdown, text.markdown(decision))


def _draw(
    path: Path, decision: "Decision", evidence: "Evidence", policy: "Policy", loaded: "Iterator[Loaded]"
) -> None:
    """Write the page of a decision: runs are read again, for what the decision itself has no need of."""
    from datetime import datetime

    from ccsight.gate.exhibits import exhibits
    from ccsight.report import html
    from ccsight.report.decision_page import decision_page
    from ccsight.store import write_atomically

    shown = exhibits(loaded, evidence, policy, datetime.fromisoformat(decision.now))
    fleet = [member.name for member in policy.fleet]
    page = decision_page(decision, shown, fleet, _text(Path(policy.file)))
    write_atomically(path, html.decided(page))


def _update(evidence: "Evidence", policy: "Policy", results: Path, now: str) -> None:
    """Write the baselines of which there is evidence that counts; this decision still is by the old ones."""
    from datetime import datetime

    from ccsight.gate import baseline
    from ccsight.gate.worth import counts
    from ccsight.report import console
    from ccsight.store import explain, write_atomically

    moment = datetime.fromisoformat(now)
    for member in policy.fleet:
        own = [each for each in evidence.of(member.name) if each.values]
        seen = next((each for each in own if counts(each, member, policy, moment)), None)
        path = baseline.path(results / "baselines", member.name, policy)
        if seen is None:
            console.narrate(f"{path}: not written: {policy.new.text} was not seen there, or does not count")
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise explain(error, results) from error
        write_atomically(path, baseline.text(seen).encode())
        console.narrate(f"{path}: {len(seen.values)} values; look at the diff, and commit it")
