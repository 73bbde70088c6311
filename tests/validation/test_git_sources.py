"""One file of a Git repository, from real Git services; the child that unpacks it has no network of its own."""

from __future__ import annotations

import base64
import hashlib
import os
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from dulwich import porcelain
from dulwich.objects import Commit, Tree
from dulwich.repo import Repo

from tests.validation.conftest import Authority, Post
from tests.validation.git_servers import SERVERS, Environ, application, serve

AUTHOR = b"A <a@example.org>"
FIRST, SECOND, ON_BRANCH = b"version = 1\n", b"version = 2\n", b"version = 'branch'\n"


@dataclass
class Repository:
    """A repository with two commits on main, a branch, a light tag, and an annotated tag of a tag."""

    folder: Path
    first: str = ""
    second: str = ""

    def make(self) -> None:
        repo = porcelain.init(str(self.folder))
        repo.refs.set_symbolic_ref(b"HEAD", b"refs/heads/main")
        (self.folder / "circuits").mkdir()
        self.first = self._commit(repo, FIRST)
        (self.folder / "large.bin").write_bytes(os.urandom(1_500_000))
        os.symlink("circuits/bell.py", self.folder / "link.py")
        self.second = self._commit(repo, SECOND)
        repo.refs[b"refs/tags/light"] = self.first.encode()
        porcelain.tag_create(repo, b"v1", AUTHOR, b"one", annotated=True, objectish=self.first.encode())
        repo.refs[b"refs/heads/feature"] = self.second.encode()
        porcelain.checkout(repo, "feature")
        self._commit(repo, ON_BRANCH)
        porcelain.checkout(repo, "main")
        repo.close()

    def _commit(self, repo: Repo, content: bytes) -> str:
        (self.folder / "circuits" / "bell.py").write_bytes(content)
        porcelain.add(repo, [str(path) for path in self.folder.rglob("*") if ".git" not in path.parts])
        commit = porcelain.commit(repo, message=b"x", author=AUTHOR, committer=AUTHOR)
        return bytes(commit).decode()


@dataclass
class GitService:
    """Where the repository is served, what was asked of it, and what it redirects by the start of a path."""

    url: str
    repository: Repository
    asked: list[str] = field(default_factory=list)
    agents: set[str] = field(default_factory=set)
    redirect: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    made = Repository(tmp_path_factory.mktemp("git") / "served")
    made.folder.mkdir()
    made.make()
    return made


@pytest.fixture(params=SERVERS)
def git(request: pytest.FixtureRequest, repository: Repository, authority: Authority) -> Iterator[GitService]:
    inner = application(request.param, repository.folder)
    here = GitService("", repository)

    def outer(environ: Environ, start_response: Any) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        here.asked.append(path)
        here.agents.add(environ["HTTP_USER_AGENT"])
        for prefix, place in here.redirect.items():
            if path.startswith(prefix):
                query = environ.get("QUERY_STRING", "")
                start_response("302 Found", [("Location", f"{place}{path.removeprefix(prefix)}?{query}")])
                return []
        return inner(environ, start_response)

    with serve(outer, authority.server) as port:
        here.url = f"https://localhost:{port}/repo"
        yield here


async def fetch(post: Post, git: GitService, path: str = "circuits/bell.py", **reference: str) -> Any:
    return await post("/fetch", git={"repository": git.url, "path": path, **reference})


async def test_the_default_branch_is_read_and_its_commit_recorded(post: Post, git: GitService) -> None:
    said = await fetch(post, git)
    assert said["reason"] is None, said["message"]
    assert base64.b64decode(said["content"]) == SECOND
    assert said["hash"] == f"sha256:{hashlib.sha256(SECOND).hexdigest()}"
    assert said["revision"] == git.repository.second


async def test_it_calls_itself_git_as_some_hosts_demand(post: Post, git: GitService) -> None:
    await fetch(post, git)
    assert all(agent.startswith("git/") for agent in git.agents)


async def test_a_branch_is_read_at_its_tip(post: Post, git: GitService) -> None:
    assert base64.b64decode((await fetch(post, git, branch="feature"))["content"]) == ON_BRANCH


@pytest.mark.parametrize("tag", ["light", "v1"])
async def test_a_branch_may_be_a_tag(post: Post, git: GitService, tag: str) -> None:
    said = await fetch(post, git, branch=tag)
    assert (base64.b64decode(said["content"]), said["revision"]) == (FIRST, git.repository.first)


@pytest.mark.parametrize("tag", ["light", "v1", "refs/tags/v1"])
async def test_a_tag_is_read_at_its_commit(post: Post, git: GitService, tag: str) -> None:
    said = await fetch(post, git, revision=tag)
    assert (base64.b64decode(said["content"]), said["revision"]) == (FIRST, git.repository.first)


async def test_a_commit_that_a_tag_names_is_read_by_its_id(post: Post, git: GitService) -> None:
    said = await fetch(post, git, revision=git.repository.first)
    assert base64.b64decode(said["content"]) == FIRST


async def test_a_revision_wins_over_a_branch(post: Post, git: GitService) -> None:
    said = await fetch(post, git, branch="feature", revision="light")
    assert base64.b64decode(said["content"]) == FIRST


@pytest.mark.parametrize(
    "path", ["circuits/nothing.py", "nowhere/bell.py", "circuits/bell.py/more", "../bell.py"]
)
async def test_a_path_that_is_missing_is_named(post: Post, git: GitService, path: str) -> None:
    said = await fetch(post, git, path)
    assert (said["reason"], said["retryable"]) == ("SourceNotFound", True)
    assert path in said["message"]


async def test_a_path_missing_in_a_commit_will_never_come(post: Post, git: GitService) -> None:
    said = await fetch(post, git, "nothing.py", revision=git.repository.first)
    assert (said["reason"], said["retryable"]) == ("SourceNotFound", False)


@pytest.mark.parametrize(("path", "kind"), [("circuits", "a directory"), ("link.py", "a link")])
async def test_only_a_file_is_a_source(post: Post, git: GitService, path: str, kind: str) -> None:
    said = await fetch(post, git, path)
    assert said["reason"] == "SourceNotFound"
    assert kind in said["message"]


@pytest.mark.parametrize("reference", [{"branch": "nothing"}, {"revision": "nothing"}])
async def test_a_branch_or_revision_that_is_missing_is_named(
    post: Post, git: GitService, reference: dict[str, str]
) -> None:
    said = await fetch(post, git, **reference)
    assert said["reason"] == "SourceNotFound", said["message"]
    assert next(iter(reference.values())) in said["message"]


@pytest.mark.parametrize("git", ["git"] if "git" in SERVERS else [], indirect=True)
async def test_a_commit_that_is_missing_is_named(post: Post, git: GitService) -> None:
    said = await fetch(post, git, revision="0123456789" * 4)
    assert (said["reason"], said["retryable"]) == ("SourceNotFound", True)
    assert "0123456789" in said["message"]


async def test_a_file_beyond_the_limit_is_forbidden(post: Post, git: GitService) -> None:
    said = await fetch(post, git, "large.bin")
    assert (said["reason"], said["retryable"]) == ("SourceForbidden", False)
    assert "large.bin" in said["message"]


async def test_no_repository_is_no_source(post: Post, git: GitService) -> None:
    said = await post("/fetch", git={"repository": git.url + "-not", "path": "x"})
    assert said["reason"] == "SourceNotFound"


async def test_a_trailing_slash_changes_nothing(post: Post, git: GitService) -> None:
    said = await post("/fetch", git={"repository": git.url + "/", "path": "circuits/bell.py"})
    assert base64.b64decode(said["content"]) == SECOND


async def test_a_repository_that_has_moved_is_followed(post: Post, git: GitService) -> None:
    git.redirect["/old"] = git.url
    said = await post(
        "/fetch", git={"repository": git.url.replace("/repo", "/old"), "path": "circuits/bell.py"}
    )
    assert base64.b64decode(said["content"]) == SECOND
    assert sum(path.startswith("/old") for path in git.asked) == 1


async def test_a_repository_that_moves_to_a_private_address_is_forbidden(post: Post, git: GitService) -> None:
    git.redirect["/old"] = git.url.replace("localhost", "127.0.0.1")
    said = await post("/fetch", git={"repository": git.url.replace("/repo", "/old"), "path": "x"})
    assert said["reason"] == "SourceForbidden"
    assert git.asked == ["/old/info/refs"]


async def test_a_request_for_a_pack_is_never_redirected(post: Post, git: GitService) -> None:
    git.redirect["/repo/git-upload-pack"] = git.url + "/git-upload-pack"
    assert (await fetch(post, git))["reason"] == "SourceForbidden"


REFUSED = [
    "http://localhost:{port}/repo",
    "git://localhost:{port}/repo",
    "ssh://git@localhost/repo",
    "git@localhost:repo",
    "file:///srv/repo",
    "/srv/repo",
    "../repo",
    "ext::sh -c id",
    "https://127.0.0.1:{port}/repo",
    "https://[::ffff:127.0.0.1]:{port}/repo",
    "https://169.254.169.254/repo",
    "https://user:password@localhost:{port}/repo",
    "https://localhost:{port}/repo?x=y",
    "--upload-pack=id",
    "",
]


@pytest.mark.parametrize("repository_url", REFUSED)
async def test_other_transports_and_private_addresses_are_forbidden(
    post: Post, git: GitService, repository_url: str
) -> None:
    url = repository_url.replace("{port}", git.url.split(":")[2].split("/")[0])
    said = await post("/fetch", git={"repository": url, "path": "circuits/bell.py"})
    assert (said["reason"], said["retryable"]) == ("SourceForbidden", False)
    assert git.asked == []


# --- servers that mean harm -------------------------------------------------------------------------------

BEFORE_A_PACK = b"0000" + b"0008NAK\n"
"""The commits at which history was cut (none), and that nothing is in common."""


def packet(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content


def pack_of(*objects: tuple[int, bytes]) -> bytes:
    """A pack file; each object is its type (1 commit, 2 tree, 3 blob) and its content."""
    body = b"PACK" + (2).to_bytes(4, "big") + len(objects).to_bytes(4, "big")
    for kind, content in objects:
        size, first = len(content) >> 4, kind << 4 | len(content) & 15
        while size:
            body += bytes([first | 128])
            first, size = size & 127, size >> 7
        body += bytes([first]) + zlib.compress(content, 9)
    return body + hashlib.sha1(body).digest()


@pytest.fixture
def impostor(authority: Authority) -> Iterator[Impostor]:
    here = Impostor()
    with serve(here.application, authority.server) as port:
        here.url = f"https://localhost:{port}/repo"
        yield here


class Impostor:
    """Speaks Git's protocol 0 as far as it suits it."""

    url = ""

    def __init__(self) -> None:
        self.references = packet(b"# service=git-upload-pack\n") + b"0000"
        self.references += packet(b"1" * 40 + b" HEAD\0ofs-delta shallow\n") + b"0000"
        self.references_type = "application/x-git-upload-pack-advertisement"
        self.pack: Iterable[bytes] = []

    def application(self, environ: Environ, start_response: Any) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] == "GET":
            start_response("200 OK", [("Content-Type", self.references_type)])
            return [self.references]
        start_response("200 OK", [("Content-Type", "application/x-git-upload-pack-result")])
        return self.pack


async def ask(post: Post, impostor: Impostor, path: str = "x") -> Any:
    return await post("/fetch", git={"repository": impostor.url, "path": path})


async def test_a_plain_web_server_is_no_repository(post: Post, impostor: Impostor) -> None:
    impostor.references, impostor.references_type = b"1" * 40 + b"\trefs/heads/main\n", "text/plain"
    assert (await ask(post, impostor))["reason"] == "SourceNotFound"


NONSENSE = {
    "nothing": b"",
    "no packets": b"<html>",
    "an endless packet": b"fff0",
    "a packet of negative length": b"-001",
    "half a list": packet(b"# service=git-upload-pack\n") + b"0000" + b"00",
}


@pytest.mark.parametrize("references", NONSENSE)
async def test_nonsense_for_references_is_the_providers_fault(
    post: Post, impostor: Impostor, references: str
) -> None:
    impostor.references = NONSENSE[references]
    assert (await ask(post, impostor))["reason"] == "ProviderUnavailable"


@pytest.mark.parametrize(
    "pack", [b"", b"garbage", BEFORE_A_PACK + b"PACK\0\0\0\2\0\0\0\1", BEFORE_A_PACK + b"\0" * 500]
)
async def test_nonsense_for_a_pack_is_the_providers_fault(
    post: Post, impostor: Impostor, pack: bytes
) -> None:
    impostor.pack = [pack]
    assert (await ask(post, impostor))["reason"] == "ProviderUnavailable"


async def test_an_endless_pack_is_cut_off(post: Post, impostor: Impostor) -> None:
    impostor.pack = iter(lambda: bytes(65536), b"")
    assert (await ask(post, impostor))["reason"] == "SourceForbidden"


async def test_a_pack_that_explodes_is_contained(post: Post, impostor: Impostor) -> None:
    impostor.pack = [BEFORE_A_PACK + pack_of(*[(3, bytes(200 << 20))] * 2)]
    said = await ask(post, impostor)
    assert said["reason"] == "SourceForbidden", said["message"]
    assert "too large" in said["message"]


async def test_another_commit_than_was_promised_is_not_taken(post: Post, impostor: Impostor) -> None:
    tree = Tree()
    commit = Commit()
    commit.tree = tree.id
    commit.author = commit.committer = AUTHOR
    commit.commit_time = commit.author_time = commit.commit_timezone = commit.author_timezone = 0
    commit.message = b"x"
    impostor.pack = [BEFORE_A_PACK + pack_of((1, commit.as_raw_string()), (2, tree.as_raw_string()))]
    assert (await ask(post, impostor))["reason"] == "ProviderUnavailable"
