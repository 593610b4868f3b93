"""``git:PATH,ref=REF``: any repository, any way to name a commit, and the reverting of commits."""

from pathlib import Path

import pytest
from tiny_source import FILES, commit, edited, fingerprint, git, repository, resolve, soon, write

from ccsight.errors import UsageError
from ccsight.kernels import git_ref, objects

pytestmark = pytest.mark.usefixtures("cache")

LONG = "arch/arm64/kvm/sys_regs.c"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    place = repository(tmp_path / "linux")
    git(place, "tag", "v6.12")
    commit(place, "first", {LONG: edited(10, "int first;")})
    git(place, "tag", "-a", "-m", "annotated", "v6.13")
    commit(place, "second", {"drivers/a.c": "int second;\n"})
    return place


def tree_of(place: Path, ref: str) -> str:
    return git(place, "rev-parse", f"{ref}^{{tree}}")


@pytest.mark.parametrize(
    "ref", ["v6.12", "v6.13", "HEAD~1", "master", "refs/heads/master", "id", "abbreviation"]
)
def test_any_name_of_a_commit(clone: Path, ref: str) -> None:
    whole = git(clone, "rev-parse", "HEAD")
    ref = {"id": whole, "abbreviation": whole[:9]}.get(ref, ref)
    source = resolve(f"git:{clone},ref={ref}").source
    assert source.tree == tree_of(clone, ref)
    assert dict(source.provenance)["commit"] == git(clone, "rev-parse", f"{ref}^{{commit}}")
    assert source.title.startswith(f"linux {ref}")
    assert not source.changed(soon())


@pytest.mark.parametrize("kind", ["bare", "worktree", "alternates", "packed", "inside"])
def test_any_repository(clone: Path, tmp_path: Path, kind: str) -> None:
    place, expected = tmp_path / "other", tree_of(clone, "v6.13")
    if kind == "bare":
        git(tmp_path, "clone", "-q", "--bare", str(clone), str(place))
    elif kind == "worktree":
        git(clone, "worktree", "add", "-q", str(place), "v6.12")
    elif kind == "alternates":
        git(tmp_path, "clone", "-q", "--shared", str(clone), str(place))
    elif kind == "packed":
        git(clone, "gc", "-q")
        git(clone, "pack-refs", "--all")
        place = clone
    else:
        place = clone / "arch/arm64"
    before = fingerprint(tmp_path / "linux"), fingerprint(place)
    source = resolve(f"git:{place},ref=v6.13").source
    objects.move(tmp_path / "build", source, soon())
    assert source.tree == expected
    assert (tmp_path / "build" / LONG).read_text() == edited(10, "int first;")
    assert (fingerprint(tmp_path / "linux"), fingerprint(place)) == before


def test_a_worktree_is_of_the_repository_it_belongs_to(clone: Path, tmp_path: Path) -> None:
    git(clone, "worktree", "add", "-q", str(tmp_path / "other"), "v6.12")
    git(tmp_path, "clone", "-q", str(clone), "copy")
    places = (clone, tmp_path / "other", clone / "arch/arm64", tmp_path / "copy")
    assert len({git_ref.common(place, soon()) for place in places[:3]}) == 1
    assert len({git_ref.common(place, soon()) for place in places}) == 2


def test_a_dirty_checkout_does_not_matter(clone: Path) -> None:
    write(clone, {"drivers/a.c": "int dirty;\n"})
    git(clone, "add", "--all")
    before = fingerprint(clone)
    assert resolve(f"git:{clone},ref=HEAD").source.tree == tree_of(clone, "HEAD")
    assert fingerprint(clone) == before


def test_an_unknown_ref_names_the_nearest(clone: Path) -> None:
    with pytest.raises(UsageError) as caught:
        resolve(f"git:{clone},ref=v6.122")
    assert caught.value.fact == f"{clone} has no commit v6.122"
    assert caught.value.evidence == "did you mean 'v6.12'?"


def test_a_ref_is_asked_for(clone: Path) -> None:
    with pytest.raises(UsageError, match="does not say which commit"):
        resolve(f"git:{clone}")


@pytest.mark.parametrize(
    "ref", ["--help", "-x", "HEAD:Makefile", "a..b", "v6.12..v6.13", "^v6.12", "0" * 40, "deadbeef"]
)
def test_what_names_no_commit(clone: Path, ref: str) -> None:
    with pytest.raises(UsageError, match="has no commit"):
        resolve(f"git:{clone},ref={ref}")


def test_a_shallow_clone_without_the_commit(clone: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{clone}", "shallow")
    assert resolve(f"git:{tmp_path}/shallow,ref=HEAD").source.tree == tree_of(clone, "HEAD")
    for missing in (git(clone, "rev-parse", "v6.12"), "HEAD~1"):
        with pytest.raises(UsageError) as caught:
            resolve(f"git:{tmp_path}/shallow,ref={missing}")
        assert "is a shallow clone" in caught.value.fact
        assert "--unshallow" in caught.value.next_step


def test_what_is_no_repository_and_what_is_no_kernel(tmp_path: Path, clone: Path) -> None:
    write(tmp_path / "plain", FILES)
    with pytest.raises(UsageError) as caught:
        resolve(f"git:{tmp_path}/plain,ref=HEAD")
    assert (caught.value.fact, caught.value.next_step) == (
        f"{tmp_path}/plain is not a git repository",
        f"a source tree without git is named tree:{tmp_path}/plain",
    )
    git(clone, "rm", "-q", "-r", "Kconfig", "arch")
    commit(clone, "no kernel", {})
    with pytest.raises(UsageError) as caught:
        resolve(f"git:{clone},ref=HEAD")
    assert caught.value.evidence == "it has no Kconfig, arch/arm64"


class TestRevert:
    """``revert=COMMIT``: three ways, as git does it."""

    def test_one(self, clone: Path) -> None:
        before = fingerprint(clone)
        inputs = resolve(f"git:{clone},ref=HEAD,revert=v6.13")
        assert inputs.base.tree == tree_of(clone, "HEAD")
        assert objects.changed_paths(inputs.base, inputs.source, soon()) == (LONG,)
        assert [patch.subject for patch in inputs.patches] == [
            f'Revert {git(clone, "rev-parse", "v6.13^{commit}")[:12]} ("first")'
        ]
        assert fingerprint(clone) == before

    def test_several_in_their_order(self, clone: Path) -> None:
        inputs = resolve(f"git:{clone},ref=HEAD,revert=HEAD,revert=HEAD~1")
        assert inputs.source.tree == tree_of(clone, "v6.12")
        assert len(inputs.patches) == 2

    def test_with_later_changes_nearby(self, clone: Path) -> None:
        text = edited(10, "int first;").replace("int line_20;", "int later;")
        commit(clone, "later", {LONG: text})
        inputs = resolve(f"git:{clone},ref=HEAD,revert=v6.13")
        assert objects.changed_paths(inputs.base, inputs.source, soon()) == (LONG,)

    def test_a_conflict_names_the_files(self, clone: Path) -> None:
        commit(clone, "over it", {LONG: edited(10, "int other;"), "drivers/a.c": "int third;\n"})
        with pytest.raises(UsageError) as caught:
            resolve(f"git:{clone},ref=HEAD,revert=v6.13")
        assert "(first) cannot be reverted" in caught.value.fact
        assert caught.value.evidence == f"conflicts in {LONG}"

    def test_what_changes_nothing(self, clone: Path) -> None:
        with pytest.raises(UsageError, match="changes nothing"):
            resolve(f"git:{clone},ref=v6.12,revert=v6.13")

    def test_merges_and_the_first_commit(self, clone: Path) -> None:
        git(clone, "checkout", "-q", "-b", "side", "v6.12")
        commit(clone, "side", {"init/main.c": "int side;\n"})
        git(clone, "merge", "-q", "-m", "merge", "master")
        with pytest.raises(UsageError, match="is a merge"):
            resolve(f"git:{clone},ref=HEAD,revert=HEAD")
        with pytest.raises(UsageError, match="has no parent"):
            resolve(f"git:{clone},ref=HEAD,revert=v6.12")

    def test_an_unknown_commit(self, clone: Path) -> None:
        with pytest.raises(UsageError, match=r"has no commit v6\.14"):
            resolve(f"git:{clone},ref=HEAD,revert=v6.14")
