"""What each example's result must be: `check("bell", document)` says in a line that it is, or raises.

Exact distributions come from formulas, never from running the circuit again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from math import cos, sin
from typing import Any

from examples.agreement import Agreement, Disagreement, compare

Document = Mapping[str, Any]
"""A result document (`results.json`), decoded."""

EXACT_ENERGY = -1.857275
"""Hartree: electronic ground state of H2 at 0.735 Angstrom, by diagonalising the Hamiltonian."""

ENERGY_TOLERANCE = 0.01
"""Hartree: five standard deviations of the energy from 16384 shots in each basis (0.00195)."""

NOISY_SHARE = (0.005, 0.20)
"""Least and largest share of a noisy Bell pair's shots that may read 01 or 10. A device without noise has
none; of 4096 shots, right results miss this range less than once in a million if their true share is 1.3 %
to 16 %."""


def check(name: str, document: Document) -> str:
    """Say in a line how well the result of the example `name` agrees with what it must be.

    Raises:
        Disagreement: if it does not agree, or is no successful result.
        KeyError: if there is no such example.
    """
    if not document["results"]["success"]:
        raise Disagreement("the result does not call itself a success")
    return CHECKS[name](all_counts(document))


def all_counts(document: Document) -> list[dict[str, int]]:
    """Counts of each circuit of a result, in their order; each must have as many as there were shots."""
    results = document["results"]
    runs = [run["counts"] for run in results["circuits"]] if results.get("circuits") else [results["counts"]]
    for counts in runs:
        if sum(counts.values()) != document["shots"]:
            raise Disagreement(
                f"the counts add up to {sum(counts.values())}, not to {document['shots']} shots"
            )
    return runs


def bell(runs: list[dict[str, int]]) -> str:
    return f"the qubits agree: {_one(runs, _uniform('00', '11'))}"


def ghz(runs: list[dict[str, int]]) -> str:
    return f"all twenty agree: {_one(runs, _uniform('0' * 20, '1' * 20))}"


def teleportation(runs: list[dict[str, int]]) -> str:
    return f"the state arrived in every shot: {_one(runs, _uniform('0 00', '0 01', '0 10', '0 11'))}"


def qft(runs: list[dict[str, int]]) -> str:
    return f"the phase is 5/16 in every shot: {_one(runs, _uniform('0101'))}"


def grover(runs: list[dict[str, int]]) -> str:
    exact = {f"{number:03b}": 1 / 128 for number in range(8)} | {"101": 121 / 128}
    return f"101 is found with 94.5 %: {_one(runs, exact)}"


def order_finding(runs: list[dict[str, int]]) -> str:
    agreement = _one(runs, _uniform("0000", "0100", "1000", "1100"))
    return f"peaks at 0, 4, 8, 12 of 16, so the order is 4: {agreement}"


def random_numbers(runs: list[dict[str, int]]) -> str:
    return f"every byte is equally likely: {_one(runs, _uniform(*(f'{byte:08b}' for byte in range(256))))}"


def bernstein_vazirani(runs: list[dict[str, int]]) -> str:
    return f"the secret is 10110 in every shot: {_one(runs, _uniform('10110'))}"


def deutsch_jozsa(runs: list[dict[str, int]]) -> str:
    balanced, constant = _each(runs, [_uniform("001", "011", "101", "111"), _uniform("000")])
    return f"balanced is never 000 ({balanced}), constant always ({constant})"


def vqe_h2(runs: list[dict[str, int]]) -> str:
    amplitudes = _h2_ground_state()
    zz = {"01": amplitudes[0] ** 2, "10": amplitudes[1] ** 2}
    same, different = (sum(amplitudes) / 2) ** 2, ((amplitudes[0] - amplitudes[1]) / 2) ** 2
    # H on both qubits turns a|01> + b|10> into (a + b)(|00> - |11>) / 2 + (b - a)(|01> - |10>) / 2.
    _each(runs, [zz, {"00": same, "11": same, "01": different, "10": different}])
    energy = h2_energy(*runs)
    if abs(energy - EXACT_ENERGY) > ENERGY_TOLERANCE:
        raise Disagreement(
            f"the energy is {energy:.4f} hartree, not {EXACT_ENERGY} within {ENERGY_TOLERANCE}"
        )
    return f"the energy is {energy:.4f} hartree, exactly {EXACT_ENERGY}"


def h2_energy(zz: Mapping[str, int], xx: Mapping[str, int]) -> float:
    """Hartree: the Hamiltonian's expectation value from counts in the bases ZZ and XX."""
    return (
        -1.052373245772859
        + 0.39793742484318045 * _mean_sign(zz, qubits=(0,))
        - 0.39793742484318045 * _mean_sign(zz, qubits=(1,))
        - 0.01128010425623538 * _mean_sign(zz, qubits=(0, 1))
        + 0.18093119978423156 * _mean_sign(xx, qubits=(0, 1))
    )


def parameter_sweep(runs: list[dict[str, int]]) -> str:
    # The manifest's values of theta: 0 to pi in steps of pi/8.
    angles = [step * 0.39269908169872414 for step in range(9)]
    worst = max(
        _each(runs, [{"0": cos(angle / 2) ** 2, "1": sin(angle / 2) ** 2} for angle in angles]),
        key=lambda agreement: agreement.statistic,
    )
    return f"nine values follow sin(theta/2)^2, the worst with {worst}"


def noise_model(runs: list[dict[str, int]]) -> str:
    (counts,) = runs
    shots = sum(counts.values())
    share = 1 - (counts.get("00", 0) + counts.get("11", 0)) / shots
    least, largest = NOISY_SHARE
    if not least <= share <= largest:
        raise Disagreement(
            f"{share:.2%} of the shots read 01 or 10; with noise it is {least:.1%} to {largest:.0%}"
        )
    if min(counts.get("00", 0), counts.get("11", 0)) < shots / 4:
        raise Disagreement("00 and 11 are not both frequent, so this is no Bell pair, noisy or not")
    return f"noise turned {share:.1%} of the shots into 01 and 10"


CHECKS: Mapping[str, Callable[[list[dict[str, int]]], str]] = {
    "bell": bell,
    "ghz": ghz,
    "teleportation": teleportation,
    "qft": qft,
    "grover": grover,
    "order-finding": order_finding,
    "random-numbers": random_numbers,
    "bernstein-vazirani": bernstein_vazirani,
    "deutsch-jozsa": deutsch_jozsa,
    "vqe-h2": vqe_h2,
    "parameter-sweep": parameter_sweep,
    "noise-model": noise_model,
}
"""The check of each example by the name of its manifest and job. Each gets the counts of all circuits."""


def _one(runs: list[dict[str, int]], exact: Mapping[str, float]) -> Agreement:
    return _each(runs, [exact])[0]


def _each(runs: list[dict[str, int]], exact: Sequence[Mapping[str, float]]) -> list[Agreement]:
    if len(runs) != len(exact):
        raise Disagreement(f"there are counts of {len(runs)} circuits, not of {len(exact)}")
    return [compare(counts, probabilities) for counts, probabilities in zip(runs, exact, strict=True)]


def _uniform(*outcomes: str) -> dict[str, float]:
    return dict.fromkeys(outcomes, 1 / len(outcomes))


def _h2_ground_state() -> tuple[float, float]:
    """Amplitudes of |01> and |10>: the lower eigenvector of the Hamiltonian's block between the two.

    Within it, IZ - ZI is -2 on the first and +2 on the second, ZZ is -1 on both, and XX swaps them.
    """
    field, coupling = 2 * 0.39793742484318045, 0.18093119978423156
    length = (field**2 + coupling**2) ** 0.5
    cosine = field / length
    return ((1 + cosine) / 2) ** 0.5, -(((1 - cosine) / 2) ** 0.5)


def _mean_sign(counts: Mapping[str, int], *, qubits: tuple[int, ...]) -> float:
    """Mean of the product of the qubits' signs, +1 for 0 and -1 for 1; qubit 0 is the rightmost digit."""
    total = sum(
        -count if sum(outcome[-1 - qubit] == "1" for qubit in qubits) % 2 else count
        for outcome, count in counts.items()
    )
    return total / sum(counts.values())
