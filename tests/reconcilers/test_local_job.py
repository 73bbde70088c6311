"""A local job's life on a real API server, with an instant node."""

from __future__ import annotations

import pytest

from api.conditions import is_true
from tests.reconcilers.conftest import Stage

pytestmark = pytest.mark.cluster


async def test_a_job_goes_from_its_spec_to_a_stored_result(stage: Stage) -> None:
    async with stage.operator() as operator:
        await stage.create("bell")
        job = await stage.until("bell", "Completed", "Failed")
        assert job.status.phase == "Completed", job.status
        assert job.status.results is not None
        assert job.status.results.location == "bell-results"
        assert job.status.results.top_counts == {"00": 520, "11": 504}
        assert is_true(job.status.conditions, "Complete")
        assert operator.diary.reasons("bell") == ["Scheduling", "Submitted", "Running", "Completed"]


async def test_a_cold_job_takes_six_writes_of_which_one_is_the_gateways(stage: Stage) -> None:
    async with stage.operator() as operator:
        await stage.create("first")
        await stage.until("first", "Completed")
        operator.client.writes.clear()
        await stage.create("bell")
        await stage.until("bell", "Completed")
        status, pods = operator.client.written("qiskitjobs"), operator.client.written("pods")
        assert len(operator.client.writes) <= 5, [str(write) for write in operator.client.writes]
        assert (len(status), len(pods)) == (4, 1)
