"""Reading one file of a Git repository, in the sandbox: dulwich speaks the protocol and unpacks what comes.

It never opens a socket. Each HTTP request is a question to the service, which checks the address and makes it.
"""

from __future__ import annotations

import io
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from dulwich.client import CAPABILITY_PACKFILE_URIS, AbstractHttpGitClient
from dulwich.errors import HangupException, NotGitRepository, NotTreeError
from dulwich.object_store import tree_lookup_path
from dulwich.objects import Blob, Commit, SubmoduleEncountered, Tag
from dulwich.repo import MemoryRepo

from messages.validation import GitReference
from validation_image.faults import Fault, forbidden, not_found, unavailable
from validation_image.tasks import REFERENCES, UPLOAD_PACK, Checkout, File, HttpAnswer, HttpQuestion, NoFile

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_MOST_TAGS = 8
"""A tag may point at a tag; nobody nests them deeper on purpose."""

Ask = Callable[[bytes], bytes]


def check_out(task: Checkout, ask: Ask) -> File | NoFile:
    """Fetch the one commit that is wanted, and read the file at it."""
    warnings.simplefilter("ignore")  # a server without partial clones is no news
    try:
        return _check_out(task, ask)
    except Fault as fault:
        return NoFile(fault.reason, fault.message, fault.retryable)


def _check_out(task: Checkout, ask: Ask) -> File:
    reference = task.reference
    repository = MemoryRepo()
    wanted: list[bytes] = []

    def choose(references: dict[bytes, bytes], **_: object) -> list[bytes]:
        wanted.append(_choose(reference, references))
        return wanted

    client = _AskingClient(reference.repository, ask)
    try:
        # Blobs beyond the limit are left out where the server can do that.
        client.fetch(
            "",
            repository,
            determine_wants=choose,
            depth=1,
            filter_spec=b"blob:limit=%d" % (task.file_bytes + 1),
        )
        return _read(repository, wanted[0], task)
    except NotGitRepository:
        raise not_found(f"{reference.repository} is no Git repository, or not a public one") from None
    except HangupException:
        raise unavailable(f"{reference.repository} ended the conversation") from None
    except (Fault, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever a parser makes of what a hostile server sends
        if wanted and "not our ref" in str(error):
            raise not_found(f"{reference.repository} has no revision {reference.revision}") from None
        raise unavailable(f"{reference.repository}: {type(error).__name__}: {error}"[:400]) from None


def _choose(reference: GitReference, references: dict[bytes, bytes]) -> bytes:
    """The object that the reference names: a commit ID, a tag, a branch, or the default branch."""
    if reference.revision is not None:
        if _COMMIT.fullmatch(reference.revision):
            return reference.revision.encode()
        names = [reference.revision, f"refs/tags/{reference.revision}", f"refs/heads/{reference.revision}"]
        what = f"revision {reference.revision} (a full commit ID, a tag or a branch)"
    elif reference.branch is not None:
        names = [f"refs/heads/{reference.branch}", f"refs/tags/{reference.branch}"]
        what = f"branch or tag {reference.branch}"
    else:
        names = ["HEAD"]
        what = "default branch"
    for name in names:
        found = references.get(name.encode())
        if found:
            return found
    raise not_found(f"{reference.repository} has no {what}")


def _read(repository: MemoryRepo, wanted: bytes, task: Checkout) -> File:
    reference = task.reference
    commit = repository.object_store[wanted]
    for _ in range(_MOST_TAGS):
        if not isinstance(commit, Tag):
            break
        commit = repository.object_store[commit.object[1]]
    if not isinstance(commit, Commit):
        raise not_found(f"{reference.revision} is no commit", retryable=False)
    name = commit.id.decode()
    where = f"{reference.path} in {reference.repository} at {name[:12]}"
    # Another commit can bring what a branch lacks; a commit itself never changes.
    may_come = reference.revision is None
    path = reference.path.strip("/").encode()
    try:
        mode, blob_id = tree_lookup_path(repository.object_store.__getitem__, commit.tree, path)
    except (KeyError, NotTreeError, SubmoduleEncountered):
        raise not_found(f"there is no {where}", retryable=may_come) from None
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "a link" if stat.S_ISLNK(mode) else "a submodule"
        raise not_found(f"{where} is {kind}, not a file", retryable=may_come)
    if blob_id not in repository.object_store:
        raise forbidden(f"{where} is larger than {task.file_bytes} bytes")
    blob = repository.object_store[blob_id]
    assert isinstance(blob, Blob)
    content = blob.as_raw_string()
    if len(content) > task.file_bytes:
        raise forbidden(f"{where} is larger than {task.file_bytes} bytes")
    return File(content, name)


class _AskingClient(AbstractHttpGitClient):  # type: ignore[misc]  # dulwich is not typed for mypy here
    """dulwich's HTTP client with questions to the service in the place of connections."""

    def __init__(self, base_url: str, ask: Ask) -> None:
        self._ask = ask
        self._service_url = base_url.rstrip("/") + "/"
        super().__init__(base_url=base_url, dumb=False)
        self._fetch_capabilities.discard(
            CAPABILITY_PACKFILE_URIS
        )  # packs from anywhere else are not asked for

    def _get_url(self, _: str | bytes) -> str:
        return self._service_url

    def _http_request(
        self,
        url: str,
        headers: dict[str, str] | None = None,
        data: bytes | Iterator[bytes] | None = None,
        **_: object,
    ) -> tuple[Any, Callable[[int], bytes]]:
        tail = REFERENCES if data is None else UPLOAD_PACK
        if not url.endswith("/" + tail):
            raise NotGitRepository  # the protocol of plain files, with a request for each object
        body = data if data is None or isinstance(data, bytes) else b"".join(data)
        question = HttpQuestion(
            service_url=url.removesuffix(tail), git_protocol=(headers or {}).get("Git-Protocol"), body=body
        )
        answer = msgspec.msgpack.decode(self._ask(msgspec.msgpack.encode(question)), type=HttpAnswer)
        if data is None and answer.content_type != "application/x-git-upload-pack-advertisement":
            raise NotGitRepository
        if answer.content[4:8] == b"ERR ":
            raise _Refused(answer.content[8:300].decode(errors="replace").strip())
        return _Response(answer), io.BytesIO(answer.content).read


class _Refused(Exception):
    """The server's own words for why it does not serve what was asked for."""


class _Response:
    """As much of urllib3's response as dulwich looks at."""

    def __init__(self, answer: HttpAnswer) -> None:
        self.status = 200
        self.content_type = answer.content_type
        self.redirect_location = answer.redirected_to

    def close(self) -> None:
        """There is nothing to close."""
