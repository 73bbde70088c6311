"""A whole executor against a gateway: what it asks, what it hands in, and how it ends."""

import hashlib
import json

from tests.executor.orders import an_order


async def test_a_bell_pair_is_handed_in_and_the_executor_ends_with_0(start, gateway):
    executor = await start(an_order())
    ended = await executor.ended()
    assert (ended.code, ended.failure) == (0, None), ended.stderr
    (result,) = gateway.results
    assert (result.job_uid, result.attempt) == (gateway.order.job_uid, 2)
    assert result.digest == "sha256:" + hashlib.sha256(result.document).hexdigest()
    document = json.loads(result.document)
    assert document["job_id"] == "99999999-8888-7777-6666-555555555555"
    assert set(document["results"]["counts"]) == {"00", "11"}
    assert result.summary.top_counts == document["results"]["counts"]
