"""Every example gives what its manifest promises, and the checks notice when it does not."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from api.job_spec import QiskitJobSpec
from examples.agreement import Disagreement
from examples.checks import CHECKS, EXACT_ENERGY, check, h2_energy
from executor_image import devices
from tests.examples.running import FOLDER, MANIFESTS, document, run

EXACT = sorted(set(MANIFESTS) - {"noise-model"})
"""Examples whose distribution is known in closed form."""


def test_every_example_has_a_check_and_every_check_an_example() -> None:
    assert set(MANIFESTS) == set(CHECKS)


@pytest.mark.parametrize("name", MANIFESTS)
def test_a_manifest_is_valid_and_says_what_to_expect(name: str) -> None:
    manifest = MANIFESTS[name]
    assert manifest["metadata"]["name"] == name
    assert (manifest["apiVersion"], manifest["kind"]) == ("quantum.io/v1", "QiskitJob")
    QiskitJobSpec.model_validate(manifest["spec"])
    text = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8")
    assert "\n# Expect" in text[: text.index("apiVersion")]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("name", MANIFESTS)
def test_an_example_gives_what_it_promises(name: str, seed: int) -> None:
    assert check(name, run(name, seed=seed))


def spoilt(result: dict[str, Any]) -> dict[str, Any]:
    """The same result with a tenth of the first circuit's shots read wrongly in their last bit."""
    wrong = copy.deepcopy(result)
    runs = wrong["results"].get("circuits") or [wrong["results"]]
    counts = runs[0]["counts"]
    most = max(counts, key=lambda outcome: counts[outcome])
    flipped = most[:-1] + ("0" if most[-1] == "1" else "1")
    moved = min(counts[most], wrong["shots"] // 10)
    counts[most] -= moved
    counts[flipped] = counts.get(flipped, 0) + moved
    return wrong


# Of 256 outcomes none holds a tenth of the shots, so random-numbers has a test of its own.
@pytest.mark.parametrize("name", [name for name in EXACT if name != "random-numbers"])
def test_a_check_notices_a_tenth_of_wrong_shots(name: str) -> None:
    with pytest.raises(Disagreement):
        check(name, spoilt(run(name, seed=1)))


def test_random_numbers_with_a_stuck_bit_are_noticed() -> None:
    result = run("random-numbers", seed=1)
    counts: dict[str, int] = {}
    for outcome, count in result["results"]["counts"].items():
        stuck = f"{outcome[:-1]}0"
        counts[stuck] = counts.get(stuck, 0) + count
    with pytest.raises(Disagreement):
        check("random-numbers", document([counts], result["shots"]))


@pytest.mark.parametrize("seed", range(5))
def test_the_energy_of_hydrogen_is_found_within_a_hundredth_hartree(seed: int) -> None:
    zz, xx = (entry["counts"] for entry in run("vqe-h2", seed=seed)["results"]["circuits"])
    assert h2_energy(zz, xx) == pytest.approx(EXACT_ENERGY, abs=0.01)


def test_the_energy_of_the_unmixed_state_is_not_taken_for_the_ground_state() -> None:
    quarter = 16384 // 4
    hartree_fock = document([{"01": 16384}, dict.fromkeys(("00", "01", "10", "11"), quarter)], 16384)
    with pytest.raises(Disagreement):
        check("vqe-h2", hartree_fock)


@pytest.mark.parametrize(
    "counts",
    [
        {"00": 2048, "11": 2048},
        {"00": 1024, "01": 1024, "10": 1024, "11": 1024},
        {"00": 3900, "11": 100, "01": 96},
    ],
    ids=["no noise at all", "nothing but noise", "no pair"],
)
def test_noise_is_neither_absent_nor_everything(counts: dict[str, int]) -> None:
    with pytest.raises(Disagreement):
        check("noise-model", document([counts], 4096))


def test_counts_that_do_not_add_up_are_no_result() -> None:
    with pytest.raises(Disagreement, match="add up to 1000, not to 1024"):
        check("bell", document([{"00": 500, "11": 500}], 1024))


def test_a_result_that_is_no_success_is_none() -> None:
    result = document([{"00": 512, "11": 512}], 1024)
    result["results"]["success"] = False
    with pytest.raises(Disagreement, match="success"):
        check("bell", result)


def test_another_number_of_circuits_is_noticed() -> None:
    with pytest.raises(Disagreement, match="1 circuits, not of 2"):
        check("deutsch-jozsa", document([{"000": 2048}], 2048))


def test_the_pages_list_just_the_devices_that_there_are() -> None:
    page = (FOLDER.parent / "docs" / "writing-a-job.md").read_text(encoding="utf-8")
    listed = {
        name: int(qubits) for name, qubits in re.findall(r"^\| `(\w+)` \| (\d+) \|$", page, re.MULTILINE)
    }
    assert listed == {name: len(devices.read_snapshot(name).qubits) for name in devices.known_devices()}
