"""Every denial, tried for real: as root where the suite runs as root, and as an ordinary user."""

import os
from pathlib import Path

import pytest

from tests.sandbox.conftest import Drive, Results
from tests.sandbox.hostile_code import ATTEMPTS, HARMLESS, ORDINARY_USER, RIGHTS

USERS = {"as root": 0, "as an ordinary user": ORDINARY_USER} if os.getuid() == 0 else {"as this user": None}

REFUSED = {"EPERM", "EACCES", "ENOSYS"}
GONE = {"ENXIO", "ENOENT"}
"""Some machines have no such device or folder, which is as good."""


@pytest.fixture(scope="module", params=USERS, ids=list(USERS))
def results(request: pytest.FixtureRequest, drive: Drive) -> Results:
    uid = USERS[request.param]
    user = {} if uid is None else {"uid": uid}
    cases = [{"name": name, "code": code, **user} for name, code in {**ATTEMPTS, **RIGHTS}.items()]
    return drive(cases)


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_the_sandbox_refuses(attempt: str, results: Results) -> None:
    assert results[attempt]["result"] in REFUSED | GONE


def test_what_no_machine_lacks_is_refused_and_not_just_missing(results: Results) -> None:
    missing = {name for name in ATTEMPTS if results[name]["result"] in GONE}
    assert missing <= {
        "files: open a disk",
        "files: open the terminal",
        "files: read the service account's folder",
    }


def test_without_the_sandbox_the_same_attempts_succeed(drive: Drive) -> None:
    bare = drive([{"name": name, "code": ATTEMPTS[name], "bare": True} for name in HARMLESS])
    assert {name for name in HARMLESS if bare[name]["result"] != "allowed"} == set()


@pytest.mark.parametrize("right", RIGHTS)
def test_user_code_may(right: str, results: Results) -> None:
    assert results[right]["result"] == "allowed"


def test_nothing_was_written_outside() -> None:
    assert not Path("/tmp/sandbox-was-here").exists()
    assert not Path("/dev/shm/sandbox-was-here").exists()
