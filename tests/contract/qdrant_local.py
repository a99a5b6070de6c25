"""A gRPC server that speaks Qdrant's protocol, with qdrant-client's local mode behind it.

Local mode compares one by one, has no indexes, no quantization and no shards, and refuses some
options. What a client asked for in those is kept in ``requests``, to be looked at.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import Message
from qdrant_client import QdrantClient, models
from qdrant_client import grpc as wire
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc
from qdrant_client.grpc import collections_service_pb2_grpc, points_service_pb2_grpc


class LocalServer:
    """Local mode, what it was asked, and how it is to fail."""

    def __init__(self) -> None:
        self.requests: list[Message] = []
        self.failures: list[grpc.StatusCode] = []
        """What the next requests fail with, first one first."""
        self.stalled = threading.Event()
        """While it is set, requests wait."""
        self.store = QdrantClient(":memory:")
        self._lock = threading.Lock()
        self._strict: dict[str, Any] = {}

    def made(self, request: Any) -> None:
        """Remember what strict mode a collection was made with."""
        self._strict[request.collection_name] = request.strict_mode_config

    def refuse_beyond(self, request: Any, context: grpc.ServicerContext) -> None:
        """What a server in strict mode refuses: more results, or more points, than are allowed."""
        strict = self._strict.get(request.collection_name)
        if strict is None:
            return
        if getattr(request, "limit", 0) > strict.max_query_limit:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "strict mode: limit")
        batch = len(request.points) if isinstance(request, wire.UpsertPoints) else 0
        if batch > strict.upsert_max_batchsize:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "strict mode: batch")

    def asked(self, kind: type[Message]) -> list[Any]:
        """The requests of one kind, in order."""
        return [request for request in self.requests if isinstance(request, kind)]

    @contextmanager
    def turn(self, request: Message, context: grpc.ServicerContext) -> Iterator[QdrantClient]:
        """Answer one request at a time; it is written down before it is answered."""
        while self.stalled.is_set() and context.is_active():
            time.sleep(0.01)
        if self.failures:
            context.abort(self.failures.pop(0), "made to fail")
        with self._lock:
            self.requests.append(request)
            yield self.store


class _Collections(collections_service_pb2_grpc.CollectionsServicer):
    def __init__(self, local: LocalServer) -> None:
        self._local = local
        self._turn = local.turn

    def CollectionExists(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            exists = store.collection_exists(request.collection_name)
            return wire.CollectionExistsResponse(result=wire.CollectionExists(exists=exists))

    def Create(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            vectors = GrpcToRest.convert_vectors_config(request.vectors_config)
            store.create_collection(request.collection_name, vectors_config=vectors)
            self._local.made(request)
            return wire.CollectionOperationResponse(result=True)

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            done = store.delete_collection(request.collection_name)
            return wire.CollectionOperationResponse(result=done)

    def Get(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            info = RestToGrpc.convert_collection_info(store.get_collection(request.collection_name))
            return wire.GetCollectionInfoResponse(result=info)

    def UpdateAliases(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            changes = [GrpcToRest.convert_alias_operations(one) for one in request.actions]
            done = store.update_collection_aliases(changes)
            return wire.CollectionOperationResponse(result=done)

    def ListAliases(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            aliases = store.get_aliases().aliases
            return wire.ListAliasesResponse(
                aliases=[RestToGrpc.convert_alias_description(one) for one in aliases]
            )


class _Points(points_service_pb2_grpc.PointsServicer):
    def __init__(self, local: LocalServer) -> None:
        self._local = local

    @contextmanager
    def _turn(self, request: Any, context: grpc.ServicerContext) -> Iterator[QdrantClient]:
        self._local.refuse_beyond(request, context)
        with self._local.turn(request, context) as store:
            yield store

    def Upsert(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            points = [GrpcToRest.convert_point_struct(point) for point in request.points]
            store.upsert(request.collection_name, points)
            return _done()

    def CreateFieldIndex(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context):
            return _done()

    def Query(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            asked = GrpcToRest.convert_query_points(request)
            found = store.query_points(
                request.collection_name,
                query=asked.query,
                using=asked.using,
                query_filter=asked.filter,
                limit=asked.limit or 10,
                with_payload=asked.with_payload or False,
                with_vectors=asked.with_vector or False,
            )
            points = [RestToGrpc.convert_scored_point(point) for point in found.points]
            return wire.QueryResponse(result=points)

    def Count(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            count = store.count(request.collection_name, _filter(request)).count
            return wire.CountResponse(result=wire.CountResult(count=count))

    def Scroll(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            start = GrpcToRest.convert_point_id(request.offset) if request.offset.uuid else None
            records, after = store.scroll(
                request.collection_name,
                _filter(request),
                limit=request.limit,
                offset=start,
                with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
                with_vectors=request.with_vectors.enable,
            )
            page = [_record(one) for one in records]
            if after is None:
                return wire.ScrollResponse(result=page)
            return wire.ScrollResponse(result=page, next_page_offset=wire.PointId(uuid=str(after)))

    def Facet(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            found = store.facet(request.collection_name, request.key, limit=request.limit)
            hits = [
                wire.FacetHit(value=wire.FacetValue(string_value=str(hit.value)), count=hit.count)
                for hit in found.hits
            ]
            return wire.FacetResponse(hits=hits)

    def Get(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            records = store.retrieve(
                request.collection_name,
                [GrpcToRest.convert_point_id(one) for one in request.ids],
                with_payload=GrpcToRest.convert_with_payload_interface(request.with_payload),
                with_vectors=request.with_vectors.enable,
            )
            return wire.GetResponse(result=[_record(one) for one in records])

    def Delete(self, request: Any, context: grpc.ServicerContext) -> Message:
        with self._turn(request, context) as store:
            chosen = GrpcToRest.convert_points_selector(request.points)
            store.delete(request.collection_name, chosen)
            return _done()


@contextmanager
def serving(local: LocalServer) -> Iterator[str]:
    """Serve on a free port; gives the address."""
    server = grpc.server(
        ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", 64 * 2**20)]
    )
    points_service_pb2_grpc.add_PointsServicer_to_server(  # type: ignore[no-untyped-call]
        _Points(local), server
    )
    collections_service_pb2_grpc.add_CollectionsServicer_to_server(  # type: ignore[no-untyped-call]
        _Collections(local), server
    )
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def _filter(request: Any) -> models.Filter | None:
    return GrpcToRest.convert_filter(request.filter) if request.HasField("filter") else None


def _record(record: models.Record) -> wire.RetrievedPoint:
    record.payload = record.payload or {}  # as a server does, which local mode does not
    converted: wire.RetrievedPoint = RestToGrpc.convert_record(record)
    return converted


def _done() -> Message:
    result = wire.UpdateResult(operation_id=0, status=wire.UpdateStatus.Completed)
    return wire.PointsOperationResponse(result=result)
