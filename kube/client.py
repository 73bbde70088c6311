"""The Kubernetes client: verbs on resources, decoded into whatever lean type the caller names.

A client is an async context manager. Every call but `watch` has a deadline; requests and watches use
connection pools of their own; errors are the classes of kube.errors.
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from functools import cache
from types import TracebackType
from typing import Any, Generic, TypeVar, overload

import msgspec

from kube.config import Configuration
from kube.errors import BadAnswer
from kube.objects import TokenReview
from kube.resources import PODS, TOKEN_REVIEWS, Resource
from kube.transport import Transport
from kube.watching import lines
from messages.unreadable import UNREADABLE

REQUEST_TIMEOUT = 30.0
"""Seconds for one call. The API server's own limit is 60; half of it leaves the caller time to try again."""

LIST_TIMEOUT = 120.0
"""Seconds for a list: ten thousand objects take a slow API server half a minute."""

_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"

T = TypeVar("T")
Body = Mapping[str, Any] | msgspec.Struct | bytes


class _List(msgspec.Struct, Generic[T], frozen=True):
    items: list[T] | None = None


class Client:
    """Talks to one API server."""

    def __init__(
        self,
        configuration: Configuration,
        *,
        user_agent: str,
        request_timeout: float = REQUEST_TIMEOUT,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.configuration = configuration
        self._transport = Transport(configuration, user_agent=user_agent, sleep=sleep)
        self._timeout = request_timeout

    async def __aenter__(self) -> Client:
        await self._transport.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._transport.close()

    @overload
    async def get(
        self, resource: Resource, name: str, namespace: str | None = ..., *, timeout: float | None = ...
    ) -> dict[str, Any]: ...
    @overload
    async def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = ...,
        *,
        type: type[T],
        timeout: float | None = ...,
    ) -> T: ...
    async def get(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        type: Any = dict[str, Any],
        timeout: float | None = None,
    ) -> Any:
        """Read one object as it is now."""
        return _decode(await self.raw("GET", resource.path(namespace, name), timeout=timeout), type)

    async def list(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
        resource_version_match: str | None = None,
        limit: int | None = None,
        continue_: str | None = None,
        metadata_only: bool = False,
        timeout: float | None = None,
    ) -> bytes:
        """The raw body of one page of a list; decoding it is the caller's business."""
        params = _params(
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            resourceVersionMatch=resource_version_match,
            limit=None if limit is None else str(limit),
            **{"continue": continue_},
        )
        accept = _METADATA_LIST if metadata_only else None
        return await self.raw(
            "GET", resource.path(namespace), params=params, accept=accept, timeout=timeout or LIST_TIMEOUT
        )

    async def list_items(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        type: type[T],
        label_selector: str | None = None,
        field_selector: str | None = None,
    ) -> builtins.list[T]:
        """All objects as they are now, decoded."""
        body = await self.list(
            resource, namespace, label_selector=label_selector, field_selector=field_selector
        )
        items: builtins.list[T] | None = _decode(body, _items_of(type)).items  # type: ignore[arg-type]
        return items or []

    @overload
    async def create(
        self,
        resource: Resource,
        body: Body,
        namespace: str | None = ...,
        *,
        dry_run: bool = ...,
        timeout: float | None = ...,
    ) -> dict[str, Any]: ...
    @overload
    async def create(
        self,
        resource: Resource,
        body: Body,
        namespace: str | None = ...,
        *,
        type: type[T],
        dry_run: bool = ...,
        timeout: float | None = ...,
    ) -> T: ...
    async def create(
        self,
        resource: Resource,
        body: Body,
        namespace: str | None = None,
        *,
        type: Any = dict[str, Any],
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> Any:
        """Create an object and return it as the server completed it."""
        params = {"dryRun": "All"} if dry_run else None
        answer = await self.raw(
            "POST", resource.path(namespace), params=params, body=_encode(body), timeout=timeout
        )
        return _decode(answer, type)

    async def replace(
        self,
        resource: Resource,
        name: str,
        body: Body,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        type: Any = dict[str, Any],
        timeout: float | None = None,
    ) -> Any:
        """Replace an object; with `metadata.resourceVersion` in the body only if it has not changed."""
        path = resource.path(namespace, name, subresource)
        return _decode(await self.raw("PUT", path, body=_encode(body), timeout=timeout), type)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str | None = None,
        *,
        uid: str | None = None,
        resource_version: str | None = None,
        grace_period_seconds: int | None = None,
        propagation_policy: str | None = None,
        timeout: float | None = None,
    ) -> None:
        """Delete an object; with `uid` or `resource_version` only that very one (else Conflict)."""
        preconditions = _params(uid=uid, resourceVersion=resource_version)
        options: dict[str, Any] = {"apiVersion": "v1", "kind": "DeleteOptions"}
        if preconditions:
            options["preconditions"] = preconditions
        if grace_period_seconds is not None:
            options["gracePeriodSeconds"] = grace_period_seconds
        if propagation_policy is not None:
            options["propagationPolicy"] = propagation_policy
        await self.raw("DELETE", resource.path(namespace, name), body=_encode(options), timeout=timeout)

    async def merge_patch(
        self,
        resource: Resource,
        name: str,
        body: Body,
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        type: Any = dict[str, Any],
        timeout: float | None = None,
    ) -> Any:
        """Apply an RFC 7396 merge patch; with `metadata.resourceVersion` in it a change since is a Conflict."""
        return await self._patch(
            resource, name, body, namespace, subresource, "application/merge-patch+json", type, timeout
        )

    async def json_patch(
        self,
        resource: Resource,
        name: str,
        operations: Sequence[Mapping[str, Any]],
        namespace: str | None = None,
        *,
        subresource: str | None = None,
        type: Any = dict[str, Any],
        timeout: float | None = None,
    ) -> Any:
        """Apply RFC 6902 operations, in order or not at all."""
        body = msgspec.json.encode(operations)
        return await self._patch(
            resource, name, body, namespace, subresource, "application/json-patch+json", type, timeout
        )

    async def apply(
        self,
        resource: Resource,
        name: str,
        body: Body,
        namespace: str | None = None,
        *,
        field_manager: str,
        force: bool = True,
        subresource: str | None = None,
        type: Any = dict[str, Any],
        timeout: float | None = None,
    ) -> Any:
        """Server-side apply: the object has these fields afterwards, and `field_manager` owns them."""
        params = {"fieldManager": field_manager, "force": "true" if force else "false"}
        path = resource.path(namespace, name, subresource)
        # JSON is YAML, and the server takes no other name for it before 1.36.
        content_type = "application/apply-patch+yaml"
        answer = await self.raw(
            "PATCH", path, params=params, body=_encode(body), content_type=content_type, timeout=timeout
        )
        return _decode(answer, type)

    @asynccontextmanager
    async def watch(
        self,
        resource: Resource,
        namespace: str | None = None,
        *,
        label_selector: str | None = None,
        field_selector: str | None = None,
        resource_version: str | None = None,
        timeout_seconds: int,
        allow_bookmarks: bool = True,
        send_initial_events: bool = False,
        metadata_only: bool = False,
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The watch's events as complete raw lines, until the server ends it.

        `timeout_seconds` is the server's limit. The answer must begin within the client's request timeout;
        afterwards a quiet watch is left alone, and noticing a dead one is the caller's business. A refusal
        is not waited out: the caller decides when to come back (G11).

        Raises:
            ApiError: if the watch is refused; Unreachable also later, when it is cut.
        """
        params = _params(
            watch="true",
            labelSelector=label_selector,
            fieldSelector=field_selector,
            resourceVersion=resource_version,
            timeoutSeconds=str(timeout_seconds),
            allowWatchBookmarks="true" if allow_bookmarks else None,
        )
        if send_initial_events:
            params["sendInitialEvents"] = "true"
            params["resourceVersionMatch"] = "NotOlderThan"
        accept = _METADATA if metadata_only else None
        path = resource.path(namespace)
        stream = self._transport.stream(path, params=params, accept=accept, timeout=self._timeout)
        async with stream as chunks, aclosing(lines(chunks)) as events:
            yield events

    async def pod_logs(
        self,
        name: str,
        namespace: str,
        *,
        container: str | None = None,
        tail_lines: int | None = None,
        limit_bytes: int | None = None,
        timeout: float | None = None,
    ) -> str:
        """What a pod's container has written so far; bytes that are no UTF-8 are replaced."""
        params = _params(
            container=container,
            tailLines=None if tail_lines is None else str(tail_lines),
            limitBytes=None if limit_bytes is None else str(limit_bytes),
        )
        path = PODS.path(namespace, name, "log")
        body = await self.raw("GET", path, params=params, accept="*/*", timeout=timeout)
        return body.decode("utf-8", "replace")

    async def review_token(self, token: str, audiences: Sequence[str]) -> TokenReview:
        """Ask the API server whose token this is, for the given audiences."""
        body = {
            "apiVersion": TOKEN_REVIEWS.api_version,
            "kind": TOKEN_REVIEWS.kind,
            "spec": {"token": token, "audiences": list(audiences)},
        }
        answer = await self.create(TOKEN_REVIEWS, body)
        status = answer.get("status") or {}
        user = status.get("user") or {}
        extra = user.get("extra") or {}
        return TokenReview(
            authenticated=bool(status.get("authenticated")),
            username=user.get("username", ""),
            uid=user.get("uid", ""),
            groups=tuple(user.get("groups") or ()),
            audiences=tuple(status.get("audiences") or ()),
            pod_name=(extra.get("authentication.kubernetes.io/pod-name") or [""])[0],
            pod_uid=(extra.get("authentication.kubernetes.io/pod-uid") or [""])[0],
            error=status.get("error", ""),
        )

    async def raw(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: bytes | None = None,
        content_type: str = "application/json",
        accept: str | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """One request to any path, with this client's credentials, deadline and typed errors."""
        return await self._transport.request(
            method,
            path,
            params=params,
            body=body,
            content_type=content_type,
            accept=accept,
            timeout=timeout or self._timeout,
        )

    async def _patch(
        self,
        resource: Resource,
        name: str,
        body: Body,
        namespace: str | None,
        subresource: str | None,
        content_type: str,
        kind: Any,
        timeout: float | None,
    ) -> Any:
        path = resource.path(namespace, name, subresource)
        answer = await self.raw("PATCH", path, body=_encode(body), content_type=content_type, timeout=timeout)
        return _decode(answer, kind)


def _encode(body: Body) -> bytes:
    return body if isinstance(body, bytes) else msgspec.json.encode(body)


def _decode(body: bytes, kind: Any) -> Any:
    try:
        return _decoder(kind).decode(body)
    except UNREADABLE as error:
        begin = body[:200].decode("utf-8", "replace")
        raise BadAnswer(200, "BadAnswer", f"{error}, in an answer that begins {begin!r}") from error


@cache
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@cache
def _items_of(kind: Any) -> Any:
    return _List[kind]


def _params(**values: str | None) -> dict[str, str]:
    return {name: value for name, value in values.items() if value is not None}
