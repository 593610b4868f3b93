"""A bisection on made-up repositories, with real git and made-up machines: ends, steps, proof, going on."""

import json
import subprocess
from pathlib import Path
from subprocess import CalledProcessError

import pytest
from bisect_lab import MACHINE, OTHER, PREDICATE, Lab, Stopped, begun, order, searched
from dag import ancestors, line, made
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_bisect_search import graphs
from tiny_source import fingerprint, git

from ccsight.campaign import suspects
from ccsight.campaign.rows import Row
from ccsight.campaign.search import Among, Found, Nowhere
from ccsight.errors import InfraError, UsageError
from ccsight.evidence.bisection import Bisection, Role, Verdict
from ccsight.report import bisection as report
from ccsight.report import bisection_text as texts
from ccsight.report.bisection import Story, Word
from ccsight.status import ExitCode


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def bad_from(history, graph, fault):
    """Tell the commits that have the fault: those with it in their history, and the fault not reverted."""
    having = {commit for number, commit in enumerate(history.commits) if fault in ancestors(graph, number)}
    return lambda suspect: suspect in having


class Straight:
    """Sixteen commits in a row, the tenth of which is at fault."""

    def __init__(self, place, fault=10, files=()):
        self.graph = line(17)
        self.history = made(place / "linux.git", self.graph, files)
        self.bad = bad_from(self.history, self.graph, fault)
        self.fault = self.history.commits[fault]

    def begun(self, place, **more):
        return begun(place, order(self.history.spec(0), self.history.spec(16), **more))


@pytest.fixture
def straight(tmp_path):
    return Straight(tmp_path)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graphs(16), st.data())
def test_on_any_history_git_chooses_and_the_answer_is_right(tmp_path_factory, graph, data):
    place = tmp_path_factory.mktemp("any")
    history = made(place / "linux.git", graph)
    fault = data.draw(st.integers(1, len(graph) - 1))
    middle = st.sampled_from(history.commits[1:-1]) if len(graph) > 2 else st.nothing()
    skips = data.draw(st.sets(middle, max_size=6))
    lab = Lab(bad_from(history, graph, fault), skips)
    ended = searched(begun(place, order(history.spec(0), history.spec(-1))), lab)
    if isinstance(ended.answer, Found):
        assert ended.answer.suspect == history.commits[fault]
    else:
        assert isinstance(ended.answer, Among)
        assert history.commits[fault] in ended.answer.suspects
        assert set(ended.answer.suspects[:-1]) <= skips
    if not skips:
        assert ended.story.proven


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(graphs(16), st.data())
def test_several_at_once_find_the_same(tmp_path_factory, graph, data):
    place = tmp_path_factory.mktemp("wide")
    history = made(place / "linux.git", graph)
    fault = data.draw(st.integers(1, len(graph) - 1))
    lab = Lab(bad_from(history, graph, fault), cpu=0.01)
    ended = searched(begun(place, order(history.spec(0), history.spec(-1))), lab, workers=3)
    assert ended.answer == Found(history.commits[fault])
    assert ended.story.proven


def test_three_at_once_take_half_as_many_rounds(straight, tmp_path):
    lab = Lab(straight.bad, cpu=0.01)
    ended = searched(straight.begun(tmp_path), lab, workers=3)
    assert (ended.answer, ended.story.proven) == (Found(straight.fault), True)
    assert lab.rounds == [1, 1, 3, 3, 1, 1, 1]
    names = [name for name, _ in lab.tried]
    assert [name.partition("-")[0] for name in names[2:8]] == [f"0{number}" for number in range(1, 7)]
    assert [step.width for step in ended.story.steps] == [1, 1, *[3] * 6, 1, 1, 1]


def test_one_of_several_that_was_not_observed_costs_only_itself(straight, tmp_path):
    kept = straight.begun(tmp_path)
    lab = Lab(straight.bad, lost=[straight.history.commits[8]], cpu=0.01)
    with pytest.raises(InfraError, match="nothing is guessed"):
        searched(kept, lab, workers=3)
    lab.lost = ()
    ended = searched(kept, lab, workers=3)
    assert ended.answer == Found(straight.fault)
    judged = [step.suspect for step in ended.story.steps if step.role is Role.STEP]
    assert len(judged) == len(set(judged)), "what was judged is not tried again"


def test_found_and_proven(straight, tmp_path):
    lab = Lab(straight.bad)
    before = fingerprint(straight.history.place)
    ended = searched(straight.begun(tmp_path), lab)
    assert ended.answer == Found(straight.fault)
    assert (ended.story.proven, ended.story.exit_code) == (True, ExitCode.OK)
    names = [name for name, _ in lab.tried]
    assert [name.partition("-")[0] for name in names] == [
        "good",
        "bad",
        "01",
        "02",
        "03",
        "04",
        *["parent"] * 0,
        "parent",
        "commit",
        "revert",
    ]
    assert lab.tried[-1][1].endswith(f",revert={straight.fault}")
    assert fingerprint(straight.history.place) == before
    assert ended.lines[1].endswith("16 suspects: 4 steps")
    assert len(ended.lines) == 2 + 4 + 3
    assert ended.lines[2].split()[:3] == ["1", "good", straight.history.commits[8][:12]]


def test_the_good_end_is_the_control_of_all_that_follows(straight, tmp_path):
    lab = Lab(straight.bad)
    searched(straight.begun(tmp_path), lab)
    assert lab.benches[0].control == ""
    assert {bench.control for bench in lab.benches[1:]} == {f"built:{straight.history.commits[0]}"}


def test_a_predicate_that_says_what_is_wrong(straight, tmp_path):
    lab = Lab(lambda suspect: not straight.bad(suspect) and "without" not in suspect)
    ended = searched(straight.begun(tmp_path), lab)
    assert ended.answer == Found(straight.fault)
    assert not ended.story.outcome.good_is


@pytest.mark.parametrize(("bad", "word"), [(True, "false for"), (False, "true of")])
def test_ends_that_answer_the_same_end_it(straight, tmp_path, bad, word):
    lab = Lab(lambda suspect: bad)
    with pytest.raises(UsageError) as caught:
        searched(straight.begun(tmp_path), lab)
    assert f"is {word} both ends on {MACHINE}" in caught.value.fact
    assert caught.value.evidence.count("guest.CLIDR_EL1.LoC is") == 2
    assert len(lab.tried) == 2


@pytest.mark.parametrize("number", [0, 16])
@pytest.mark.parametrize("kind", ["skips", "lost"])
def test_an_end_that_cannot_be_asked_ends_it(straight, tmp_path, number, kind):
    lab = Lab(straight.bad, **{kind: straight.history.commits[number]})
    with pytest.raises(InfraError, match=f"the {'bad' if number else 'good'} end cannot be asked"):
        searched(straight.begun(tmp_path), lab)


def test_an_end_that_was_not_observed_is_neither_good_nor_bad(straight, tmp_path):
    with pytest.raises(InfraError, match="the good end was not observed on"):
        searched(straight.begun(tmp_path), Lab(straight.bad, deaf=[MACHINE]))


def test_one_machine_that_sees_the_fault_is_enough(straight, tmp_path):
    ended = searched(straight.begun(tmp_path, machines=(MACHINE, OTHER)), Lab(straight.bad))
    assert ended.answer == Found(straight.fault)
    assert {look.machine for step in ended.story.steps for look in step.looks} == {MACHINE, OTHER}


def test_a_machine_that_confirms_boots_the_ends_and_the_proof_only(straight, tmp_path):
    lab = Lab(straight.bad)
    ended = searched(straight.begun(tmp_path, confirm=(OTHER,)), lab)
    assert ended.story.proven
    asked = {step.role for step in ended.story.steps for look in step.looks if look.machine == OTHER}
    assert asked == {Role.GOOD_END, Role.BAD_END, Role.PARENT, Role.COMMIT, Role.REVERT}


def test_skips_around_the_fault_end_in_a_range(straight, tmp_path):
    commits = straight.history.commits
    ended = searched(straight.begun(tmp_path), Lab(straight.bad, skips=commits[9:12]))
    assert isinstance(ended.answer, Among)
    assert set(ended.answer.suspects) == set(commits[9:13])
    assert (ended.story.outcome.word, ended.story.exit_code) == (Word.AMONG, ExitCode.FAIL)
    assert "it is one of these 4" in texts.mail(ended.story)


def test_what_was_not_observed_stops_it_and_it_can_go_on(straight, tmp_path):
    lost = straight.history.commits[8]
    kept = straight.begun(tmp_path)
    with pytest.raises(InfraError) as caught:
        searched(kept, Lab(straight.bad, lost=[lost]))
    assert "nothing is guessed: no QEMU" in caught.value.fact
    assert f"--resume {kept.folder}; or leave it out: --skip {lost[:12]}" in caught.value.next_step
    assert kept.steps()[-1].verdict is Verdict.INFRA
    again = Lab(straight.bad)
    ended = searched(Bisection.find(tmp_path / "results", "latest"), again)
    assert ended.answer == Found(straight.fault)
    assert again.tried[0] == (f"01-{lost[:12]}", straight.history.spec(8))


def test_one_that_was_not_observed_can_be_left_out(straight, tmp_path):
    lost = straight.history.commits[8]
    kept = straight.begun(tmp_path)
    with pytest.raises(InfraError):
        searched(kept, Lab(straight.bad, lost=[lost]))
    ended = searched(kept, Lab(straight.bad, lost=[lost]), skips=[lost])
    assert ended.answer == Found(straight.fault)


@pytest.mark.parametrize("count", [1, 2, 4, 7])
def test_one_that_was_killed_anywhere_repeats_nothing_that_was_judged(straight, tmp_path, count):
    """Of the ends, neither is judged before both are asked; what they saw is kept in their runs."""
    kept, first = straight.begun(tmp_path), Lab(straight.bad, stop_after=count)
    with pytest.raises(Stopped):
        searched(kept, first)
    with (kept.folder / "steps.jsonl").open("ab") as file:
        file.write(b'\n{"name": "05-half", "role": "st')
    second = Lab(straight.bad)
    ended = searched(Bisection.find(tmp_path / "results", kept.order.id), second)
    assert (ended.answer, ended.story.proven) == (Found(straight.fault), True)
    both = first.tried + second.tried if count > 1 else second.tried
    assert len(both) == len(set(both)) == 9


def test_most_boots_decide_and_those_that_disagree_are_named(straight, tmp_path):
    flaky = straight.history.commits[8]
    lab = Lab(straight.bad, wrong={flaky: [2]})
    ended = searched(straight.begun(tmp_path, repeat=3), lab)
    assert ended.answer == Found(straight.fault)
    assert [step.suspect for step in ended.story.steps if step.flaky] == [flaky]
    assert 0.5 < ended.story.outcome.confidence < 1
    assert f"flaky {flaky[:12]}" in texts.mail(ended.story)


def test_a_tie_stops_it(straight, tmp_path):
    lab = Lab(straight.bad, wrong={straight.history.commits[8]: [2]})
    with pytest.raises(InfraError, match="as many boots say yes as no"):
        searched(straight.begun(tmp_path, repeat=2), lab)


def test_a_verdict_that_the_proof_does_not_bear_out_is_not_proven(straight, tmp_path):
    """Its parent was good once, and is bad at a second look."""
    commits, seen = straight.history.commits, []

    def bad(suspect):
        seen.append(suspect)
        return straight.bad(suspect) or (suspect == commits[9] and seen.count(suspect) > 1)

    ended = searched(straight.begun(tmp_path), Lab(bad))
    assert ended.answer == Found(straight.fault)
    assert (ended.story.proven, ended.story.exit_code) == (False, ExitCode.FAIL)
    assert "not proven" in texts.mail(ended.story)


def test_a_revert_that_leaves_it_bad_proves_nothing(straight, tmp_path):
    ended = searched(
        straight.begun(tmp_path), Lab(lambda suspect: straight.bad(suspect) or "without" in suspect)
    )
    assert not ended.story.proven
    assert "another one does the same" in texts.mail(ended.story)


def test_a_merge_at_fault_is_proven_by_both_of_its_sides(tmp_path):
    """Each side is good by itself; a merge cannot be reverted, which is for its build to say."""
    graph = [[], [0], [0], [1], [2], [3, 4], [5]]
    history = made(tmp_path / "linux.git", graph)
    lab = Lab(bad_from(history, graph, 5), skips=[])
    ended = searched(begun(tmp_path, order(history.spec(0), history.spec(6))), lab)
    assert ended.answer == Found(history.commits[5])
    sides = [(step.suspect, step.verdict) for step in ended.story.made_for(Role.PARENT)]
    assert sides == [(history.commits[3], Verdict.GOOD), (history.commits[4], Verdict.GOOD)]
    assert ended.story.proven
    turned = [step for step in ended.story.steps if step.suspect != history.commits[4]]
    assert Story(ended.story.order, tuple(turned), ended.story.outcome).proven
    assert not Story(ended.story.order, tuple(turned[:-3]), ended.story.outcome).proven


def test_only_commits_of_some_paths(tmp_path):
    straight = Straight(tmp_path, files=["a" if number in (0, 4, 10, 14) else "b" for number in range(17)])
    lab = Lab(straight.bad)
    ended = searched(straight.begun(tmp_path, paths=("a",)), lab)
    assert ended.answer == Found(straight.fault)
    assert ended.lines[1].endswith("3 suspects: 2 steps")


def test_a_fault_outside_of_the_paths_is_not_pinned_on_them(tmp_path):
    straight = Straight(tmp_path, fault=15, files=["a" if number in (4, 10) else "b" for number in range(17)])
    ended = searched(straight.begun(tmp_path, paths=("a",)), Lab(straight.bad))
    assert ended.answer == Nowhere()
    assert "no commit of a" in texts.mail(ended.story)
    straight = Straight(tmp_path / "2", fault=7, files=straight_files(4, 10))
    ended = searched(straight.begun(tmp_path / "2", paths=("a",)), Lab(straight.bad))
    assert ended.answer == Found(straight.history.commits[10])
    assert not ended.story.proven, "its parent is bad already"


def test_commits_that_touch_nothing_that_is_built_are_no_suspects_at_first(tmp_path):
    straight = Straight(tmp_path, files=straight_files(4, 7, 10, 13))
    lab = Lab(straight.bad)
    ended = searched(straight.begun(tmp_path), lab, likely=["a"])
    assert (ended.answer, ended.story.proven) == (Found(straight.fault), True)
    tried = [step.suspect for step in ended.story.steps if step.role is Role.STEP]
    assert tried == [straight.history.commits[number] for number in (7, 10, 9)]
    # the last one, before what was found, shows that none was left out


@pytest.mark.parametrize("numbers", [(4, 7, 13), (4, 7)])
def test_where_none_of_the_likely_ones_is_it_all_are_suspects(tmp_path, numbers):
    straight = Straight(tmp_path, files=straight_files(*numbers))
    ended = searched(straight.begun(tmp_path), Lab(straight.bad), likely=["a"])
    assert (ended.answer, ended.story.proven) == (Found(straight.fault), True)
    assert any("all the others are suspects" in line for line in ended.lines)


def straight_files(*numbers):
    return ["a" if number in numbers else "b" for number in range(17)]


def test_kernels_in_a_row(tmp_path, straight):
    row = Row(tuple(f"deb:6.1=6.1.{number}" for number in range(9)))
    kept = straight.begun(tmp_path)
    lab = Lab(lambda suspect: int(suspect.rpartition(".")[2]) >= 5)
    ended = searched(kept, lab, row)
    assert ended.answer == Found("deb:6.1=6.1.5")
    assert ended.story.proven
    assert ended.story.made_for(Role.REVERT) == ()
    assert ended.story.made_for(Role.PARENT)[0].suspect == "deb:6.1=6.1.4"
    assert "no revert: there is nothing" in texts.mail(ended.story)


@pytest.mark.parametrize("skips", [[], [9, 10, 11]])
def test_git_takes_the_log(straight, tmp_path, skips):
    commits = straight.history.commits
    ended = searched(straight.begun(tmp_path), Lab(straight.bad, skips=[commits[number] for number in skips]))
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "--quiet", str(straight.history.place), str(clone))
    text = texts.log(ended.kept.order, ended.story.steps, ended.story.outcome)
    (tmp_path / "bisect.log").write_text(text)
    if skips:
        with pytest.raises(CalledProcessError) as caught:  # git's way to say that it is one of several
            git(clone, "bisect", "replay", str(tmp_path / "bisect.log"))
        assert caught.value.returncode == 2
        assert "possible first bad commit" in text
        assert git(clone, "rev-parse", "refs/bisect/bad") == commits[12]
    else:
        said = git(clone, "bisect", "replay", str(tmp_path / "bisect.log"))
        assert f"{straight.fault} is the first bad commit" in said


def test_the_mail_fits_and_says_what_a_reader_asks(straight, tmp_path):
    ended = searched(straight.begun(tmp_path), Lab(straight.bad))
    text = texts.mail(ended.story)
    assert max(map(len, text.splitlines())) <= 76
    assert f'first bad  {straight.fault[:12]} ("change 10")' in text
    assert "file-10 | 1 +" in text
    assert f"before  {MACHINE}  guest.CLIDR_EL1.LoC is 1" in text
    assert "after   " in text
    assert PREDICATE in text


@pytest.mark.parametrize("word", ["short", "a word with 'quotes' " * 9, "x" * 300, ""])
def test_the_command_in_the_mail_can_be_pasted(straight, tmp_path, word):
    wanted = straight.begun(tmp_path, argv=("printf", "%s|", word, "two words", *["more"] * 20))
    text = texts.mail(searched(wanted, Lab(straight.bad)).story)
    assert max(map(len, text.splitlines())) <= 76
    command = text.partition("Again:\n")[2]
    said = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True).stdout
    assert said == "|".join([*wanted.order.argv[2:], ""])


def test_json_is_one_object_with_all_steps(straight, tmp_path):
    ended = searched(straight.begun(tmp_path), Lab(straight.bad))
    found = json.loads(report.document(ended.story))
    assert found["outcome"]["suspects"][0]["id"] == straight.fault
    assert (found["proven"], found["exit_code"], len(found["steps"])) == (True, 0, 9)


class TestSeries:
    """A kernel, and the same with a series of patches, or with options: one more at a time."""

    @pytest.fixture
    def series(self, straight, tmp_path):
        place = straight.history.place
        text = git(place, "format-patch", "--stdout", f"{straight.history.commits[11]}..master")
        (tmp_path / "series.mbox").write_text(text + "\n")
        return straight.history.spec(11), f"{straight.history.spec(11)},patch={tmp_path}/series.mbox"

    def lab(self, at_fault):
        """Return one where a kernel is bad that has this patch."""
        return Lab(lambda suspect: False, with_part=lambda spec: at_fault in spec)

    def patch_of(self, kept, number):
        return suspects.again(kept.order, lambda _: None).parts[number - 1].option[1]

    @pytest.mark.parametrize("number", [1, 3, 5])
    def test_which_patch_of_a_series(self, series, tmp_path, number):
        kept = begun(tmp_path, order(*series))
        lab = self.lab(self.patch_of(kept, number))
        ended = searched(kept, lab)
        assert ended.answer == Found(f"{number}/5")
        assert ended.story.proven
        assert ended.story.outcome.suspects[0].cited == f'{number}/5 ("change {11 + number}")'
        assert self.patch_of(kept, number) not in ended.story.made_for(Role.REVERT)[0].spec

    def test_the_patches_are_kept_when_their_file_has_changed(self, series, tmp_path):
        kept = begun(tmp_path, order(*series))
        wanted = self.patch_of(kept, 4)
        (tmp_path / "series.mbox").unlink()
        assert searched(kept, self.lab(wanted)).answer == Found("4/5")

    def test_which_option_of_a_fragment(self, straight, tmp_path):
        (tmp_path / "more.config").write_text("CONFIG_A=y  # why\nCONFIG_B=n  # optional: so\nCONFIG_C=y\n")
        kernel = straight.history.spec(3)
        kept = begun(tmp_path, order(kernel, f"{kernel},kconfig={tmp_path}/more.config"))
        ended = searched(kept, self.lab(self.patch_of(kept, 2)))
        assert ended.answer == Found("2/3")
        assert ended.story.outcome.suspects[0].title == "CONFIG_B=n"
        assert Path(self.patch_of(kept, 2)).read_text() == "CONFIG_B=n  # optional: so\n"

    def test_what_there_is_only_one_of_cannot_be_left_out(self, straight, tmp_path):
        kernel = straight.history.spec(3)
        kept = begun(tmp_path, order(kernel, f"{kernel},append=nokaslr"))
        ended = searched(kept, self.lab("append=nokaslr"))
        assert (ended.answer, ended.story.proven) == (Found("1/1"), True)
        assert ended.story.made_for(Role.REVERT) == ()

    def test_a_tree_that_may_change_is_refused(self, tmp_path):
        with pytest.raises(UsageError, match="may change while it is bisected"):
            order(f"tree:{tmp_path}", f"tree:{tmp_path},patch=a.patch")
