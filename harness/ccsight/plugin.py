"""pytest's side: options, and the fixture that turns a run's plan into tests.

    pytest suites/launch suites/userspace --old deb:6.1 --new deb:6.12 --on emulated:neoverse-n1 -n 2
    pytest suites/launch --evidence results/RUN

A test names a check with ``@pytest.mark.check("CR-001")`` and takes the fixture ``case``: it then runs
once for each cell (laws) or machine (comparisons) of the plan. Cells boot on demand, once, whatever
the number of xdist workers. A session that observed nothing, or less than it planned, does not pass.
"""

import functools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import pytest

from ccsight.campaign.depths import DEPTH_OPTIONS, DepthOption
from ccsight.scratch import Scratch
from ccsight.status import Status

if TYPE_CHECKING:
    from ccsight.campaign.suite import Suite
    from ccsight.evidence.cases import Case

_SUITE = pytest.StashKey["Suite"]()
_SHARED = pytest.StashKey[Scratch]()
_PLANNED = pytest.StashKey[set[str]]()
_SEEN = pytest.StashKey[dict[str, str]]()
#: How the id of a test of a case begins, and how that of one goes for which the plan has none.
_TAKES_CASE = ("[case:", "[NOTSET]")


class _Node(Protocol):
    """What xdist's controller knows of a worker, as far as it is used here."""

    config: pytest.Config
    workerinput: dict[str, object]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what the suites run on; the defaults are those of ``ccsight compare``."""
    group = parser.getgroup("ccsight")
    group.addoption("--old", metavar="KERNEL", help="kernel spec of the old kernel (default: deb:6.1)")
    group.addoption("--new", metavar="KERNEL", help="kernel spec of the new kernel (default: deb:6.12)")
    group.addoption("--on", metavar="MACHINE", action="append", help="machine spec; repeatable")
    group.addoption("--silicon", metavar="FILE", help="rows of your own for the silicon table")
    for option in DEPTH_OPTIONS:
        if option.metavar:
            kind = functools.partial(_number, option)
            group.addoption(
                option.option,
                metavar=option.metavar,
                type=kind,
                default=option.usual,
                help=option.help,
            )
        else:
            group.addoption(option.option, action="store_true", help=option.help)
    group.addoption("--evidence", metavar="RUN", help="judge this run's folder instead of booting machines")
    group.addoption("--results", metavar="DIR", default="results", help="where a new run goes")


def _number(option: DepthOption, word: str) -> int:
    """Return the number that was given with an option. Raises ValueError, which pytest explains."""
    if int(word) < option.least or int(word) > (option.most or int(word)):
        raise ValueError(f"not a number from {option.least} to {option.most or '…'}: {word}")
    return int(word)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and set up what the end of the session is judged by."""
    config.addinivalue_line("markers", "check(id): the check that a test shows, such as CR-001")
    config.stash[_PLANNED] = set()
    config.stash[_SEEN] = {}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that takes ``case`` one planned case after the other."""
    if "case" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("check")
    if marker is None:
        pytest.fail(f"{metafunc.definition.nodeid} takes 'case' but names no check", pytrace=False)
    suite = _suite(metafunc.config)
    planned = [case for case in suite.planned() if case.check == marker.args[0]]
    metafunc.parametrize(
        "case", planned, ids=[f"case: {suite.title(case)}" for case in planned], indirect=True
    )


def _suite(config: pytest.Config) -> "Suite":
    """Return the session's run; the workers of one session share it."""
    from ccsight.campaign.suite import suite_of
    from ccsight.errors import CcsightError

    problem = ""
    if _SUITE not in config.stash:
        shared = getattr(config, "workerinput", {}).get("ccsight_shared")
        try:
            config.stash[_SUITE] = suite_of(config.option, Path(shared) if shared else None)
        except CcsightError as error:
            problem = str(error)
    if problem:
        pytest.fail(problem, pytrace=False)
    return config.stash[_SUITE]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: _Node) -> None:
    """Give an xdist worker the folder that it shares with its neighbours."""
    if _SHARED not in node.config.stash:
        node.config.stash[_SHARED] = Scratch()
    node.workerinput["ccsight_shared"] = node.config.stash[_SHARED].name


@pytest.fixture
def case(request: pytest.FixtureRequest) -> object:
    """Return the verdict on a planned case; its cells boot now, if nobody booted them yet."""
    verdict = _suite(request.config).verdict(request.param)
    request.node.user_properties.append(("outcome", verdict.outcome))
    return verdict


def holds(case: "Case") -> None:
    """Assert that a law holds, or say all that is held against the kernel; skip where it does not apply."""
    if case.status is Status.SKIP:
        pytest.skip(case.reason)
    said = [
        f"{finding.where}: {finding.subject}: {finding.said}"
        for finding in case.findings
        if not finding.known
    ]
    if case.status is not Status.PASS:
        raise AssertionError("\n".join([f"{case.status} {case.key} {case.reason}", *said]))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: _Node, ids: list[str]) -> None:
    """Note what a worker was going to run."""
    node.config.stash[_PLANNED].update(filter(_takes_case, ids))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what this process is going to run."""
    session.config.stash[_PLANNED].update(item.nodeid for item in session.items if _takes_case(item.nodeid))


def _takes_case(nodeid: str) -> bool:
    return any(mark in nodeid for mark in _TAKES_CASE)


def pytest_report_teststatus(report: pytest.CollectReport | pytest.TestReport, config: pytest.Config) -> None:
    """Note how each test ended."""
    if report.when == "call" or report.outcome != "passed":
        config.stash[_SEEN][report.nodeid] = report.outcome


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let no session about a run pass that observed nothing, or less than it planned."""
    config = session.config
    _publish(config)
    if hasattr(config, "workerinput") or config.option.collectonly or not config.stash[_PLANNED]:
        return
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    for complaint in _complaints(config):
        if reporter:
            reporter.ensure_newline()
            reporter.write_line(f"ccsight: {complaint}", red=True, bold=True)
        if exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _publish(config: pytest.Config) -> None:
    """Write the reports of a run that this session made; the controller does, where there is one."""
    if hasattr(config, "workerinput") or config.option.collectonly:
        return
    from ccsight.campaign.suite import made_by

    made = made_by(config.stash.get(_SUITE, None), config.stash.get(_SHARED, None))
    if made:
        from ccsight.campaign.compare import publish

        publish(made)


def _complaints(config: pytest.Config) -> Iterator[str]:
    planned, seen = config.stash[_PLANNED], config.stash[_SEEN]
    lost = planned - seen.keys()
    if lost and not config.option.maxfail:
        yield f"MISS: {len(lost)} planned tests never ran, such as {min(lost)}"
    if not {seen[nodeid] for nodeid in planned - lost} - {"skipped"}:
        yield "MISS: nothing was observed: no test of a case ran, or every one was skipped"
