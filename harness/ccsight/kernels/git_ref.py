"""``git:PATH,ref=REF``: a commit of any repository of the user's; and the reverting of commits."""

from dataclasses import replace
from pathlib import Path

from ccsight.arm64.suggest import nearest
from ccsight.deadline import Deadline
from ccsight.errors import UsageError
from ccsight.kernels import objects
from ccsight.kernels.objects import Source
from ccsight.specs import Spec
from ccsight.toolbox.tools import Report


def resolve(spec: Spec, deadline: Deadline, report: Report) -> Source:
    """Return the tree of a commit; the repository is only read.

    Raises UsageError for what is no repository, an unknown ref (naming the nearest) or a commit that a
    shallow clone lacks.
    """
    place = Path(spec.value).expanduser().absolute()
    store, home = _open(place, deadline)
    ref = spec.option("ref")
    if not ref:
        raise UsageError(
            f"{spec.text!r} does not say which commit",
            next_step=f"git:{spec.value},ref=REF, for example ref=HEAD",
        )
    commit, root = _commit(place, ref, deadline)
    name = home.parent.name if home.name == ".git" else home.name
    return Source(
        tree=root,
        objects=(objects.store(deadline) / "objects", store),
        title=f"{name} {ref}" + ("" if commit.startswith(ref) else f" ({commit[:12]})"),
        provenance=(("repository", str(place)), ("ref", ref), ("commit", commit)),
    )


def revert(source: Source, repository: Path, ref: str, deadline: Deadline) -> tuple[Source, str, str]:
    """Return a source without what a commit has changed, with that commit's id and subject.

    A three-way merge, as ``git revert`` does: base the commit, one side the source, the other the
    commit's parent. Raises UsageError on a conflict, naming the files, and for a commit whose change
    is not in the source, that merges, or that has no parent here.
    """
    repository = repository.expanduser().absolute()
    commit, after = _commit(repository, ref, deadline)
    words = ["log", "-1", "--format=%P%x00%s", commit]
    parents, subject = _read(repository, words, deadline).rstrip("\n").split("\0")
    what = f"{commit[:12]} ({subject})"
    if len(parents.split()) != 1:
        why = "is a merge" if parents else "has no parent in this repository"
        raise UsageError(
            f"{what} cannot be reverted: it {why}", next_step="revert the commits it brought, one by one"
        )
    before = _commit(repository, parents, deadline)[1]
    merged = _merged(source, after, before, what, deadline)
    if merged == source.tree:
        raise UsageError(
            f"reverting {what} changes nothing: it is reverted already, or not in {source.title}",
            next_step="leave it out",
        )
    return replace(source, tree=merged, title=f"{source.title} without {commit[:12]}"), commit, subject


def common(repository: Path, deadline: Deadline) -> Path:
    """Return the folder that all checkouts of a repository have in common. Raises UsageError."""
    return _open(repository.expanduser().absolute(), deadline)[1].resolve()


def _merged(source: Source, base: str, other: str, what: str, deadline: Deadline) -> str:
    where = objects.ours(deadline, source.objects)

    def commit(root: str, *parents: str) -> str:
        words = ["commit-tree", "-m", "made for a merge", *(f"-p{parent}" for parent in parents), root]
        return objects.git(words, deadline, where=where).text.strip()

    root = commit(base)
    words = [
        "merge-tree",
        "--write-tree",
        "--name-only",
        "-z",
        commit(source.tree, root),
        commit(other, root),
    ]
    done = objects.git(words, deadline, where=where, expect=(0, 1))
    merged, *rest = done.text.split("\0")
    if done.returncode == 0:
        return merged
    files = rest[: rest.index("")] if "" in rest else rest
    raise UsageError(
        f"{what} cannot be reverted: what it changed has changed again since",
        evidence=f"conflicts in {', '.join(dict.fromkeys(files))}",
        next_step="revert the later commits first (options apply in their order), or give a patch=FILE",
    )


def _open(place: Path, deadline: Deadline) -> tuple[Path, Path]:
    """Return a repository's object folder and its common folder."""
    if not place.is_dir():
        raise UsageError(
            f"{place} is not a folder", next_step="git:PATH,ref=REF with a repository or a checkout"
        )
    ask = ["--git-path", "objects", "--git-common-dir", "--show-object-format"]
    words = ["-C", str(place), "rev-parse", "--path-format=absolute", *ask]
    done = objects.git(words, deadline, expect=None)
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip()
        raise UsageError(
            f"{place} is not a git repository",
            evidence=said,
            next_step=f"a source tree without git is named tree:{place}",
        )
    store, common, form = done.text.splitlines()[:3]
    if form != "sha1":
        raise UsageError(
            f"{place} names its objects by {form}; only sha1 repositories can be read",
            next_step=f"name its checkout: tree:{place}",
        )
    return Path(store), Path(common)


def _read(place: Path, words: list[str], deadline: Deadline) -> str:
    return objects.git(["-C", str(place), *words], deadline).text


def _commit(place: Path, ref: str, deadline: Deadline) -> tuple[str, str]:
    """Return the ids of the commit that a ref, tag, id or abbreviation means, and of its tree."""
    words = ["rev-parse", "--verify", "--end-of-options", f"{ref}^{{commit}}"]
    done = objects.git(["-C", str(place), *words], deadline, expect=None)
    if done.returncode == 0:
        # A subject is in no commit-graph, so git reads the commit: one that a shallow clone lacks is none.
        words = ["rev-list", "-1", "--format=%H %T %s", done.text.strip(), "--"]
        read = objects.git(["-C", str(place), *words], deadline, expect=None).text
        if read:
            commit, root, _ = read.split("\n")[1].split(" ", 2)
            return commit, root
    said = done.stderr.decode(errors="replace")
    if "ambiguous" in said:
        raise UsageError(
            f"{ref} is short for several objects of {place}",
            evidence=said.strip(),
            next_step="give more digits",
        )
    if _read(place, ["rev-parse", "--is-shallow-repository"], deadline).strip() == "true":
        raise UsageError(
            f"{place} has no {ref}, and is a shallow clone",
            evidence=_known(place, ref, deadline),
            next_step=f"git -C {place} fetch --unshallow, or fetch --depth 1 origin {ref}",
        )
    raise UsageError(
        f"{place} has no commit {ref}",
        evidence=_known(place, ref, deadline),
        next_step="ref= takes a commit, a tag or a branch that is there",
    )


def _known(place: Path, ref: str, deadline: Deadline) -> str:
    names = _read(place, ["for-each-ref", "--format=%(refname:short)"], deadline).split()
    if not names:
        return "it has no branch and no tag"
    said = nearest(ref, names)
    return said if len(said) < 300 else f"{said[:300]} … ({len(names)} refs)"
