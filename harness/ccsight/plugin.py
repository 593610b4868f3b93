"""pytest's side: options, and the fixtures that turn a run's plan into tests.

    pytest suites/launch --old deb:6.1 --new deb:6.12 --on emulated:neoverse-n1 -n 2
    pytest suites/launch --evidence results/RUN

A test names a check with ``@pytest.mark.check("CR-001")`` and takes the fixture ``case``: it then runs
once for each cell (laws) or machine (comparisons) of the plan. Cells boot on demand, once, whatever
the number of xdist workers. A session that observed nothing does not pass.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from ccsight.campaign.suite import Suite

_SUITE = pytest.StashKey["Suite"]()
_SEEN = pytest.StashKey[dict[str, str]]()
_PLANNED = pytest.StashKey[set[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare what the suites run on; the defaults are those of ``ccsight compare``."""
    group = parser.getgroup("ccsight")
    group.addoption("--old", metavar="KERNEL", help="kernel spec of the old kernel (default: deb:6.1)")
    group.addoption("--new", metavar="KERNEL", help="kernel spec of the new kernel (default: deb:6.12)")
    group.addoption("--on", metavar="MACHINE", action="append", help="machine spec; repeatable")
    group.addoption("--evidence", metavar="RUN", help="judge this run's folder instead of booting machines")
    group.addoption(
        "--results", metavar="DIR", default="results", help="where a new run goes (default: results)"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, and set up what the end of the session is judged by."""
    config.addinivalue_line("markers", "check(id): the check that a test shows, such as CR-001")
    config.stash[_SEEN] = {}
    config.stash[_PLANNED] = set()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that takes ``case`` one planned case after the other."""
    if "case" not in metafunc.fixturenames:
        return
    marker = metafunc.definition.get_closest_marker("check")
    if marker is None:
        raise pytest.UsageError(f"{metafunc.definition.nodeid} takes 'case' but names no check")
    planned = [case for case in _suite(metafunc.config).planned() if case.check == marker.args[0]]
    metafunc.parametrize("case", planned, ids=[" → ".join(case.cells) for case in planned], indirect=True)


def _suite(config: pytest.Config) -> "Suite":
    """Return the session's run: opened, or planned anew; workers join the one of their controller."""
    from ccsight.campaign.suite import Suite
    from ccsight.errors import CcsightError

    if _SUITE not in config.stash:
        shared = getattr(config, "workerinput", {}).get("ccsight_run")
        evidence = shared or config.getoption("--evidence")
        try:
            config.stash[_SUITE] = (
                Suite.open(Path(evidence), may_boot=shared is not None and not config.getoption("--evidence"))
                if evidence
                else Suite.start(
                    Path(config.getoption("--results")),
                    old=config.getoption("--old"),
                    new=config.getoption("--new"),
                    machines=config.getoption("--on"),
                )
            )
        except CcsightError as error:
            raise pytest.UsageError(str(error)) from error
    return config.stash[_SUITE]


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Give an xdist worker the run of its controller, so that all of them fill one folder."""
    config = node.config  # type: ignore[attr-defined]
    if _wants_run(config):
        node.workerinput["ccsight_run"] = str(_suite(config).run.folder)  # type: ignore[attr-defined]


def _wants_run(config: pytest.Config) -> bool:
    """Tell whether the session is about a run at all: other tests must not make one."""
    asked = any(config.getoption(option) for option in ("--old", "--new", "--on", "--evidence"))
    return asked or any("launch" in Path(arg).parts for arg in config.args) or _covers_suites(config)


def _covers_suites(config: pytest.Config) -> bool:
    return any((Path(arg) / "launch").is_dir() for arg in config.args)


@pytest.fixture
def case(request: pytest.FixtureRequest) -> object:
    """Return the verdict on a planned case; its cells boot now, if nobody booted them yet."""
    verdict = _suite(request.config).verdict(request.param)
    request.node.user_properties.append(("outcome", verdict.outcome))
    return verdict


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(node: object, ids: list[str]) -> None:
    """Note what a worker was going to run."""
    node.config.stash[_PLANNED].update(ids)  # type: ignore[attr-defined]


def pytest_collection_finish(session: pytest.Session) -> None:
    """Note what this process is going to run."""
    session.config.stash[_PLANNED].update(item.nodeid for item in session.items)


def pytest_report_teststatus(report: pytest.TestReport, config: pytest.Config) -> None:
    """Note how each test ended."""
    if report.when == "call" or report.outcome != "passed":
        config.stash[_SEEN][report.nodeid] = report.outcome


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Let no session pass that observed nothing, or less than it planned."""
    config = session.config
    if hasattr(config, "workerinput") or config.option.collectonly or not _wants_run(config):
        return
    for complaint in _complaints(config):
        reporter = config.pluginmanager.get_plugin("terminalreporter")
        if reporter:
            reporter.write_line(f"ccsight: {complaint}", red=True, bold=True)
        if exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _complaints(config: pytest.Config) -> Iterator[str]:
    seen = config.stash[_SEEN]
    lost = config.stash[_PLANNED] - seen.keys()
    if lost and not config.option.maxfail:
        yield f"MISS: {len(lost)} planned tests never ran, such as {min(lost)}"
    if not set(seen.values()) - {"skipped"}:
        yield "MISS: nothing was observed: no test ran, or every one was skipped"
