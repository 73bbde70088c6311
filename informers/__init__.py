"""Caches that follow the API server, and the queues that reconcilers are fed from.

Start with `Informer` (a cache of one collection, with handlers) and `WorkQueue` (keys, each with one worker
at a time). `Expectations` and `OwnWrites` keep a reconciler from acting on a cache that lags behind itself.
"""

from informers.backoff import Backoff
from informers.expectations import Expectations
from informers.handlers import Handler, Registration, Tombstone, last_state
from informers.key import Key
from informers.metrics import InformerMetrics, QueueMetrics
from informers.objects import KubernetesObject, is_replaced, key_of
from informers.own_writes import OwnWrites
from informers.retry_delay import RetryDelay, TokenBucket
from informers.workqueue import PRIORITY_CHANGE, PRIORITY_INITIAL, ShutDown, WorkQueue

__all__ = [
    "PRIORITY_CHANGE",
    "PRIORITY_INITIAL",
    "Backoff",
    "Expectations",
    "Handler",
    "InformerMetrics",
    "Key",
    "KubernetesObject",
    "OwnWrites",
    "QueueMetrics",
    "Registration",
    "RetryDelay",
    "ShutDown",
    "TokenBucket",
    "Tombstone",
    "WorkQueue",
    "is_replaced",
    "key_of",
    "last_state",
]
