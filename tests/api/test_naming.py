"""Names that the operator gives: decided by the job alone, unique to its UID, never too long."""

from __future__ import annotations

import pytest

from api.naming import child_name, label_value, output_name, volume_folder

UID = "0b4c6a1e-1111-4111-8111-111111111111"
NAMES = ["bell", "a.b.c", "x" * 253, "a." * 126 + "b", "-".join("abc") * 40]


@pytest.mark.parametrize("name", NAMES)
def test_children_fit_and_are_the_jobs_own(name: str) -> None:
    child = child_name(name, UID, "1")
    assert len(child) <= 63
    assert "." not in child
    assert child != child_name(name, UID.replace("1", "2"), "1")
    assert child != child_name(name, UID, "2")


@pytest.mark.parametrize("name", NAMES)
def test_a_volumes_folder_fits_a_file_system_and_ends_in_the_uid(name: str) -> None:
    folder = volume_folder(name, UID)
    assert len(folder.encode()) <= 255
    assert folder.endswith(f"-{UID}")
    assert name[:200] == folder[: len(name[:200])]


@pytest.mark.parametrize("name", NAMES)
def test_an_output_has_a_name_of_its_own_where_the_jobs_leaves_no_room(name: str) -> None:
    output = output_name(name, UID, None)
    assert len(output) <= 253
    assert output.endswith("-results")
    assert output_name(name, UID, "mine") == "mine"


@pytest.mark.parametrize("name", NAMES)
def test_a_labels_value_is_one(name: str) -> None:
    value = label_value(name)
    assert len(value) <= 63
    assert value[-1].isalnum()
