"""Whatever an object says, a decision is made: `decide` never raises, and what it decides makes sense."""

from __future__ import annotations

import types
import typing
from enum import Enum
from typing import Any

import msgspec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from api.conditions import Condition, JobCondition
from api.meta import ObjectMeta, OwnerReference
from api.names import LABEL_ATTEMPT, LABEL_JOB_UID, LABEL_ROLE
from api.phases import Phase, is_terminal
from api.reasons import REASONS
from api.views import QiskitBackend, QiskitJob
from backends import Attempt, Handle, Owner, Slot, State
from kube import PartialObject, Pod
from reconcilers.backend.cooling import Cooling
from reconcilers.backend.pool import change, sort
from reconcilers.backend.statuses import status_of
from reconcilers.backend.trouble import silent_at, trouble
from reconcilers.job.decisions import Record, Rest
from reconcilers.job.failures import ending_of, waiting_cause
from reconcilers.job.machine import decide
from reconcilers.job.reconciler import status_patch
from reconcilers.job.settings import JobSettings
from reconcilers.job.world import (
    Admitted,
    Examined,
    OutputAbsent,
    OutputFree,
    OutputLeaving,
    OutputTaken,
    Queued,
    ServiceDown,
    SourceMissing,
    SourceRefused,
    Underway,
    World,
)
from tests.reconcilers.builders import CREATED, T0, a_job, a_pod

SETTINGS = JobSettings(executor_image="executor:1")

WORDS = st.sampled_from(
    [
        "", "0", "1", "2", "-1", "10s", "5m", "1h30m", "0s", "9" * 30 + "h", "forever", "1Gi", "512Mi", "1e400", "½",
        "True", "False", "Unknown", "inline", "configmap", "pvc", "local_simulator", "ibm_quantum", "normal",
        "urgent", "job-1", "pod-1", "executor", "Pending", "Running", "Succeeded", "Failed", "Evicted",
        "PodScheduled", "DisruptionTarget", "ImagePullBackOff", "OOMKilled", "Queued", "SourceNotFound",
        CREATED, "2027-01-31T08:10:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "yesterday",
        '{"reason":"NodeLost","message":""}', "bell-results", "result-job-1",
        *(condition.value for condition in JobCondition),
    ]
)  # fmt: skip
TEXT = WORDS | st.text(max_size=12)
KEYS = st.sampled_from([LABEL_JOB_UID, LABEL_ATTEMPT, LABEL_ROLE, "cpu", "memory"]) | st.text(max_size=5)
NUMBERS = st.integers(min_value=-(2**70), max_value=2**70) | st.integers(min_value=-2, max_value=4)
FRACTIONS = st.floats(allow_nan=True, allow_infinity=True)

SOMETIMES: dict[tuple[type, str], st.SearchStrategy[Any]] = {
    # Half of the objects belong to each other, or nothing interesting would ever be seen.
    (ObjectMeta, "uid"): st.sampled_from(["job-1", "pod-1", "warm-1"]) | TEXT,
    (OwnerReference, "uid"): st.sampled_from(["job-1", "pool-uid"]) | TEXT,
    (Condition, "status"): st.sampled_from(["True", "False", "Unknown"]),
}


def any_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value of a type that a view's field has."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(any_of(argument) for argument in arguments))
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin is tuple:
        return st.lists(any_of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(KEYS, any_of(arguments[1]), max_size=3)
    if kind is type(None):
        return st.none()
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return any_view(kind)
    return {str: TEXT, int: NUMBERS, float: FRACTIONS, bool: st.booleans()}[kind]


def any_view(kind: type[Any]) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(kind)
    fields = {
        name: SOMETIMES[kind, name] if (kind, name) in SOMETIMES else any_of(hints[name])
        for name in kind.__struct_fields__
    }
    return st.builds(kind, **fields)


def changed_in(kind: type[Any], bases: list[Any]) -> st.SearchStrategy[Any]:
    """One of some sensible views, with a few fields of its parts replaced by anything."""

    def mix(base: Any, other: Any, names: dict[str, set[str]]) -> Any:
        parts = {
            part: msgspec.structs.replace(
                getattr(base, part), **{name: getattr(getattr(other, part), name) for name in chosen}
            )
            for part, chosen in names.items()
        }
        return msgspec.structs.replace(base, **parts)

    names = {
        part: st.sets(st.sampled_from(getattr(bases[0], part).__struct_fields__), max_size=2)
        for part in kind.__struct_fields__
    }
    return st.builds(mix, st.sampled_from(bases), any_view(kind), st.fixed_dictionaries(names))


def rarely(strategy: st.SearchStrategy[Any], else_: Any = None) -> st.SearchStrategy[Any]:
    """One time in eight."""
    return st.integers(0, 7).flatmap(lambda n: strategy if n == 7 else st.just(else_))


LIVES = [
    a_job().view,
    a_job().examined().view,
    a_job().examined().with_status(phase=Phase.SCHEDULING, reason="Queued").view,
    a_job().scheduled().view,
    a_job().scheduled(job_id="pod-1").view,
    a_job().running().view,
    a_job().retrying(due=-5).view,
    a_job().ended(Phase.COMPLETED).view,
]
ATTEMPTS = [
    a_pod().view,
    a_pod().running().view,
    a_pod().running().deleted().view,
    a_pod().waiting("ImagePullBackOff").view,
    a_pod().ended(0).view,
    a_pod().ended(70, message='{"reason":"UserCodeError","message":"no"}').view,
]
JOBS = changed_in(QiskitJob, LIVES)
PODS = changed_in(Pod, ATTEMPTS) | any_view(Pod)
PAIRS = st.none() | st.tuples(st.sampled_from(sorted(REASONS)), TEXT)
SLOTS = st.none() | st.just(Slot(id="warm-1", name="warm-1", version="1"))
OWNER = Owner(namespace="quantum", name="bell", uid="job-1")
WORLDS = st.builds(
    World,
    now=st.floats(min_value=0, max_value=4e9) | st.floats(min_value=T0 - 10, max_value=T0 + 1000),
    job=JOBS,
    backend=st.none() | any_view(QiskitBackend),
    pods=st.lists(PODS, max_size=2).map(tuple),
    slot_pod=rarely(PODS),
    handle=st.none()
    | st.builds(Handle, attempt=st.builds(Attempt, owner=st.just(OWNER), number=NUMBERS), id=TEXT, name=TEXT),
    handle_since=st.floats(min_value=0, max_value=4e9),
    departed=rarely(PODS),
    result=rarely(any_view(PartialObject)),
    examination=st.none()
    | st.builds(Examined, TEXT, circuit=st.none() | st.none(), refusal=PAIRS, unknown=PAIRS)
    | st.builds(SourceMissing, TEXT)
    | st.builds(SourceRefused, st.sampled_from(sorted(REASONS)), TEXT)
    | st.builds(ServiceDown, st.sampled_from(["ValidationUnavailable", "ProviderUnavailable"]), TEXT)
    | st.just(Underway()),
    output=st.none()
    | st.sampled_from((OutputFree(), OutputLeaving()))
    | st.builds(OutputTaken, TEXT)
    | st.builds(OutputAbsent, TEXT),
    place=st.none() | st.builds(Admitted, SLOTS) | st.builds(Queued, st.integers(1, 9)),
    refusal=rarely(PAIRS),
    obstacle=rarely(st.tuples(TEXT, st.none() | FRACTIONS)),
    slot_gone=rarely(st.just(True), else_=False),
    pod_absent=st.booleans(),
    state=st.none() | st.sampled_from(State),
    result_absent=st.booleans(),
    backend_absent=st.booleans(),
)

many = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@many
@given(world=WORLDS | st.builds(World, now=st.just(T0 + 5), job=any_view(QiskitJob)))
@example(world=World(now=T0, job=a_job().view, pods=(a_pod().view,)))
@example(
    world=World(
        now=T0,
        job=a_job().examined().with_status(attempt=-(2**40)).view,
        output=OutputFree(),
        place=Admitted(),
    )
)
@example(
    world=World(
        now=T0,
        job=a_job().examined().with_status(attempt=2**63 - 1).view,
        output=OutputFree(),
        place=Admitted(),
    )
)
@example(
    world=World(
        now=T0,
        job=a_job().running().with_status(retry_count=-(2**40)).view,
        pod_absent=True,
        result_absent=True,
    )
)
def test_a_decision_about_anything(world: World) -> None:
    step = decide(world, SETTINGS)
    if isinstance(step, Rest):
        assert step.after is None or step.after >= 0
    if isinstance(step, Record):
        if is_terminal(world.job.status.phase):
            seen = msgspec.structs.replace(
                world.job.status, observed_generation=world.job.metadata.generation
            )
            assert step == Record(seen), "what has ended stays as it is"
        elif step.status.phase == Phase.FAILED:
            assert step.status.reason in REASONS
            assert step.events, "a failure is told"
        assert step.status != world.job.status
        assert status_patch(world.job.status, step.status)
        msgspec.json.encode(step.status)
        assert world.job.metadata.deletion_timestamp is None
    if isinstance(step, Record) and step.status.attempt != world.job.status.attempt:
        assert 0 < step.status.attempt < 10**9, "or no pod and no gateway could name it"
    if isinstance(step, Record) and step.status.retry_count != world.job.status.retry_count:
        assert step.status.retry_count > 0, "or retries would not end"
    if world.job.spec.suspend and isinstance(step, Record):
        assert step.status.attempt == world.job.status.attempt, "nothing is begun for a suspended job"


@many
@given(pod=PODS)
def test_an_end_of_anything(pod: Pod) -> None:
    assert ending_of(pod).reason in REASONS
    cause = waiting_cause(pod)
    assert cause is None or cause.reason in REASONS


@many
@given(
    backend=any_view(QiskitBackend),
    pods=st.lists(PODS, max_size=5),
    now=st.floats(min_value=0, max_value=4e9),
)
def test_a_pool_of_anything(backend: QiskitBackend, pods: list[Pod], now: float) -> None:
    pool = sort(pods, "template")
    to_do = change(pool, max(backend.spec.warm_pool.size, 0))
    assert to_do.start >= 0
    ended = {id(pod) for pod in to_do.end}
    assert len(ended) == len(to_do.end)
    assert not (to_do.start and ended & {id(pod) for pod in (*pool.ready, *pool.starting)})
    status_of(backend, pool, running=0, queued=0, trouble=trouble(pool, now), now=now)
    due = silent_at(pool)
    assert due is None or trouble(pool, due) is not None
    Cooling().observe((pod.metadata.uid for pod in pool.broken), len(pool.ready), now)
