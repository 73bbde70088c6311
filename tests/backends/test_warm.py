"""Which warm pod an attempt may claim."""

from __future__ import annotations

from typing import Any

import pytest

from backends import Attempt, Owner, Resources, Submission, Volume
from backends.aer.warm import choose, claim_patch, claim_text, warm_pod
from kube import Container
from tests.reconcilers.builders import NAMESPACE, PodBuilder, a_warm_pod, at
from tests.reconcilers.operating import AER

OWNER = Owner(namespace=NAMESPACE, name="bell", uid="job-1")
ATTEMPT = Attempt(owner=OWNER, number=1)
SMALL = Resources(requests={"cpu": "250m", "memory": "256Mi"}, limits={"cpu": "1", "memory": "512Mi"})
LARGE = Resources(requests={"memory": "4Gi"}, limits={"cpu": "2", "memory": "4Gi"})


def a_submission(**changes: Any) -> Submission:
    fields: dict[str, Any] = {"image": "executor:1", "resources": SMALL, "backend": "pool", **changes}
    return Submission(attempt=ATTEMPT, **fields)


def chosen(*pods: PodBuilder, explicit: Resources | None = None, **changes: Any) -> str | None:
    slot = choose([pod.view for pod in pods], a_submission(**changes), explicit=explicit)
    return slot.id if slot else None


def test_a_free_pod_that_fits_is_chosen_with_what_guards_its_claim() -> None:
    slot = choose([a_warm_pod().view], a_submission(), explicit=None)
    assert slot is not None
    assert (slot.id, slot.name, slot.version) == ("warm-1", "warm-1", "300")


@pytest.mark.parametrize(
    ("pod", "changes"),
    [
        pytest.param(a_warm_pod(image="executor:2"), {}, id="another image"),
        pytest.param(a_warm_pod().with_metadata(namespace="other"), {}, id="another namespace"),
        pytest.param(a_warm_pod().with_metadata(deletion_timestamp=at(0)), {}, id="on its way out"),
        pytest.param(a_warm_pod().with_annotations(**{"quantum.io/claim": "x/y/1"}), {}, id="claimed"),
        pytest.param(a_warm_pod().ended(1), {}, id="ended"),
        pytest.param(a_warm_pod().with_status(container_statuses=()), {}, id="not ready yet"),
        pytest.param(a_warm_pod().with_labels(**{"quantum.io/role": "executor"}), {}, id="no warm pod"),
        pytest.param(a_warm_pod(), {"priority": "high"}, id="another priority"),
        pytest.param(
            a_warm_pod(), {"volume": Volume(claim="results", folder="x")}, id="a volume has to be mounted"
        ),
        pytest.param(a_warm_pod(), {"resources": LARGE}, id="a circuit that does not fit into it"),
    ],
)
def test_a_pod_that_does_not_fit_is_left_alone(pod: PodBuilder, changes: dict[str, Any]) -> None:
    assert chosen(pod, **changes) is None


def test_a_pod_that_still_imports_is_better_than_none_and_worse_than_one_that_waits() -> None:
    importing = a_warm_pod("importing").with_metadata(annotations={}, creation_timestamp=at(-9))
    assert chosen(importing) == "importing"
    assert chosen(importing, a_warm_pod("waiting", backend="another")) == "waiting"


def test_a_pod_that_got_a_proxy_on_its_way_in_is_still_what_was_asked_for() -> None:
    pod = a_warm_pod()
    containers = (Container(name="proxy", image="proxy:1"), *pod.view.spec.containers)
    assert chosen(pod.with_spec(containers=containers)) == "warm-1"


def test_a_pod_whose_image_was_turned_to_a_mirror_is_still_what_was_asked_for() -> None:
    made = warm_pod(AER, Owner(namespace=NAMESPACE, name="pool", uid="u"), "executor:1", SMALL, "x")
    pod = a_warm_pod(image="mirror.example.com/executor:1")
    pod = pod.with_annotations(**made["metadata"]["annotations"])
    assert chosen(pod) == "warm-1"
    assert chosen(pod, image="mirror.example.com/executor:1") is None, "nobody asked for that"


def test_resources_that_a_job_names_must_be_equal() -> None:
    equal = Resources(requests={"cpu": "0.25", "memory": "256Mi"}, limits={"cpu": "1000m", "memory": "0.5Gi"})
    assert chosen(a_warm_pod(), resources=equal, explicit=equal) == "warm-1"
    more = Resources(requests=equal.requests, limits={"cpu": "1", "memory": "400Mi"})
    assert chosen(a_warm_pod(), resources=more, explicit=more) is None


def test_without_a_word_of_the_job_a_larger_pod_will_do() -> None:
    large = a_warm_pod(limits={"cpu": "4", "memory": "8Gi"})
    assert chosen(large) == "warm-1"
    assert chosen(a_warm_pod(limits={"cpu": "500m", "memory": "1Gi"})) == "warm-1", "slower, but it runs"


def test_the_own_backends_pods_come_first_and_then_the_oldest() -> None:
    young = a_warm_pod("young").with_metadata(creation_timestamp=at(9))
    old = a_warm_pod("old")
    others = a_warm_pod("others", backend="another").with_metadata(creation_timestamp=at(-9))
    assert chosen(young, others, old) == "old"
    assert chosen(others) == "others"


def test_a_claim_names_the_attempt_and_hands_the_pod_over() -> None:
    patch = claim_patch(ATTEMPT, "pool", "300")["metadata"]
    assert patch["resourceVersion"] == "300"
    assert (
        patch["annotations"]
        == {"quantum.io/claim": "bell/job-1/1"}
        == {"quantum.io/claim": claim_text(ATTEMPT)}
    )
    [owner] = patch["ownerReferences"]
    assert owner["uid"] == "job-1"
    assert patch["labels"]["quantum.io/role"] == "executor"
