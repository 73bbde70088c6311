"""Caches that follow the API server, and the queues that reconcilers are fed from.

Start with `Informer` (a cache of one collection, with handlers) and `WorkQueue` (keys, each with one worker
at a time). `Expectations` and `OwnWrites` keep a reconciler from acting on a cache that lags behind itself.
"""

from informers.backoff import Backoff
from informers.expectations import Expectations
from informers.handlers import Handler, Registration, Tombstone, last_state
from informers.informer import Informer
from informers.key import Key
from informers.listwatch import ListWatch
from informers.metrics import InformerMetrics, QueueMetrics
from informers.namespaces import MultiNamespaceInformer
from informers.objects import KubernetesObject, is_replaced, key_of
from informers.own_writes import OwnWrites
from informers.reflector import STUCK_AFTER
from informers.retry_delay import RetryDelay, TokenBucket
from informers.store import Indexer
from informers.workqueue import PRIORITY_CHANGE, PRIORITY_INITIAL, ShutDown, WorkQueue

__all__ = [
    "PRIORITY_CHANGE",
    "PRIORITY_INITIAL",
    "STUCK_AFTER",
    "Backoff",
    "Expectations",
    "Handler",
    "Indexer",
    "Informer",
    "InformerMetrics",
    "Key",
    "KubernetesObject",
    "ListWatch",
    "MultiNamespaceInformer",
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
