"""A layer that the kernel lacks ends in SandboxUnavailable; a seccomp filter makes the kernel lack it."""

from collections.abc import Iterable

import pytest

from sandbox import Layer, relaxed_layers
from tests.sandbox.conftest import Case, Drive

Lack = list[object]
"""A system call, the errno it gets, and the arguments that it gets it for."""

LACKS: dict[Layer, list[Lack]] = {
    Layer.NO_NEW_PRIVS: [["prctl", "EINVAL", [[0, 38]]]],
    Layer.LANDLOCK: [["landlock_create_ruleset", "ENOSYS", []]],
    Layer.SECCOMP: [["seccomp", "EINVAL", []]],
    Layer.RLIMITS: [["prlimit64", "EPERM", [[1, 4]]]],
}
LATE_LACKS: dict[str, tuple[Layer, list[Lack]]] = {
    "rules of Landlock": (Layer.LANDLOCK, [["landlock_add_rule", "EINVAL", []]]),
    "entering Landlock": (Layer.LANDLOCK, [["landlock_restrict_self", "EPERM", []]]),
    "dropping capabilities": (Layer.NO_NEW_PRIVS, [["capset", "EPERM", []]]),
    "the data limit": (Layer.RLIMITS, [["prlimit64", "EPERM", [[1, 2]]]]),
}
ALL = sorted(Layer)


def case(lacks: list[Lack], relax: Iterable[str] = ()) -> list[Case]:
    return [{"name": "it", "code": "pass", "lacks": lacks, "relax": list(relax)}]


def test_with_all_layers_the_code_runs(drive: Drive) -> None:
    assert drive(case([]))["it"] == {"result": "allowed", "layers": ALL}


@pytest.mark.parametrize("layer", LACKS)
def test_without_a_required_layer_the_code_does_not_run(layer: Layer, drive: Drive) -> None:
    refusal = drive(case(LACKS[layer]))["it"]
    assert refusal["unavailable"] == layer
    assert f"EXECUTOR_SANDBOX={layer}" in refusal["message"]


@pytest.mark.parametrize("lack", LATE_LACKS)
def test_a_layer_that_fails_half_way_is_a_missing_layer(lack: str, drive: Drive) -> None:
    layer, lacks = LATE_LACKS[lack]
    assert drive(case(lacks))["it"]["unavailable"] == layer


@pytest.mark.parametrize("layer", LACKS)
def test_a_relaxed_layer_is_reported_as_not_holding(layer: Layer, drive: Drive) -> None:
    held = drive(case(LACKS[layer], relax=[layer]))["it"]
    assert held == {"result": "allowed", "layers": sorted(set(ALL) - {layer})}


def test_relaxing_one_layer_does_not_excuse_another(drive: Drive) -> None:
    refusal = drive(case(LACKS[Layer.LANDLOCK], relax=[Layer.SECCOMP]))["it"]
    assert refusal["unavailable"] == Layer.LANDLOCK


def test_a_relaxed_layer_that_the_kernel_has_still_holds(drive: Drive) -> None:
    assert drive(case([], relax=[Layer.LANDLOCK]))["it"]["layers"] == ALL


def test_the_setting_reads_as_documented() -> None:
    assert relaxed_layers("") == relaxed_layers("required") == frozenset()
    assert relaxed_layers("landlock, seccomp") == {Layer.LANDLOCK, Layer.SECCOMP}
    with pytest.raises(ValueError, match="no sandbox layer"):
        relaxed_layers("landlok")
