import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import drift_pb2 as _drift_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetModelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: Model
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ...) -> None: ...

class ReloadModelRequest(_message.Message):
    __slots__ = ("file",)
    FILE_FIELD_NUMBER: _ClassVar[int]
    file: str
    def __init__(self, file: _Optional[str] = ...) -> None: ...

class ReloadModelResponse(_message.Message):
    __slots__ = ("model", "previous_digest", "took")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_DIGEST_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    model: Model
    previous_digest: str
    took: _duration_pb2.Duration
    def __init__(self, model: _Optional[_Union[Model, _Mapping]] = ..., previous_digest: _Optional[str] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Model(_message.Message):
    __slots__ = ("id", "digest", "origin", "labels", "input_size", "precision", "trainer", "trained_at", "metrics", "split", "threshold", "review_lower", "review_upper", "serving_since", "card", "notice", "quantization", "standardise", "engine", "fusion", "trust", "signed_by", "trusted_comment", "allowed_by", "bundle_review_lower", "bundle_review_upper", "review_reason")
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    ORIGIN_FIELD_NUMBER: _ClassVar[int]
    LABELS_FIELD_NUMBER: _ClassVar[int]
    INPUT_SIZE_FIELD_NUMBER: _ClassVar[int]
    PRECISION_FIELD_NUMBER: _ClassVar[int]
    TRAINER_FIELD_NUMBER: _ClassVar[int]
    TRAINED_AT_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    REVIEW_LOWER_FIELD_NUMBER: _ClassVar[int]
    REVIEW_UPPER_FIELD_NUMBER: _ClassVar[int]
    SERVING_SINCE_FIELD_NUMBER: _ClassVar[int]
    CARD_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    QUANTIZATION_FIELD_NUMBER: _ClassVar[int]
    STANDARDISE_FIELD_NUMBER: _ClassVar[int]
    ENGINE_FIELD_NUMBER: _ClassVar[int]
    FUSION_FIELD_NUMBER: _ClassVar[int]
    TRUST_FIELD_NUMBER: _ClassVar[int]
    SIGNED_BY_FIELD_NUMBER: _ClassVar[int]
    TRUSTED_COMMENT_FIELD_NUMBER: _ClassVar[int]
    ALLOWED_BY_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_REVIEW_LOWER_FIELD_NUMBER: _ClassVar[int]
    BUNDLE_REVIEW_UPPER_FIELD_NUMBER: _ClassVar[int]
    REVIEW_REASON_FIELD_NUMBER: _ClassVar[int]
    id: str
    digest: str
    origin: str
    labels: _containers.RepeatedScalarFieldContainer[str]
    input_size: int
    precision: str
    trainer: str
    trained_at: _timestamp_pb2.Timestamp
    metrics: _containers.RepeatedCompositeFieldContainer[Metric]
    split: str
    threshold: float
    review_lower: float
    review_upper: float
    serving_since: _timestamp_pb2.Timestamp
    card: str
    notice: str
    quantization: Quantization
    standardise: str
    engine: str
    fusion: str
    trust: str
    signed_by: str
    trusted_comment: str
    allowed_by: str
    bundle_review_lower: float
    bundle_review_upper: float
    review_reason: str
    def __init__(self, id: _Optional[str] = ..., digest: _Optional[str] = ..., origin: _Optional[str] = ..., labels: _Optional[_Iterable[str]] = ..., input_size: _Optional[int] = ..., precision: _Optional[str] = ..., trainer: _Optional[str] = ..., trained_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metrics: _Optional[_Iterable[_Union[Metric, _Mapping]]] = ..., split: _Optional[str] = ..., threshold: _Optional[float] = ..., review_lower: _Optional[float] = ..., review_upper: _Optional[float] = ..., serving_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., card: _Optional[str] = ..., notice: _Optional[str] = ..., quantization: _Optional[_Union[Quantization, _Mapping]] = ..., standardise: _Optional[str] = ..., engine: _Optional[str] = ..., fusion: _Optional[str] = ..., trust: _Optional[str] = ..., signed_by: _Optional[str] = ..., trusted_comment: _Optional[str] = ..., allowed_by: _Optional[str] = ..., bundle_review_lower: _Optional[float] = ..., bundle_review_upper: _Optional[float] = ..., review_reason: _Optional[str] = ...) -> None: ...

class Quantization(_message.Message):
    __slots__ = ("from_digest", "variant", "accuracy_change", "sensitivity_change", "flips", "cells")
    FROM_DIGEST_FIELD_NUMBER: _ClassVar[int]
    VARIANT_FIELD_NUMBER: _ClassVar[int]
    ACCURACY_CHANGE_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_CHANGE_FIELD_NUMBER: _ClassVar[int]
    FLIPS_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    from_digest: str
    variant: str
    accuracy_change: float
    sensitivity_change: float
    flips: int
    cells: int
    def __init__(self, from_digest: _Optional[str] = ..., variant: _Optional[str] = ..., accuracy_change: _Optional[float] = ..., sensitivity_change: _Optional[float] = ..., flips: _Optional[int] = ..., cells: _Optional[int] = ...) -> None: ...

class Metric(_message.Message):
    __slots__ = ("name", "value", "lower", "upper", "split", "cells", "subjects", "siblings")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    SPLIT_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    SUBJECTS_FIELD_NUMBER: _ClassVar[int]
    SIBLINGS_FIELD_NUMBER: _ClassVar[int]
    name: str
    value: float
    lower: float
    upper: float
    split: str
    cells: int
    subjects: int
    siblings: int
    def __init__(self, name: _Optional[str] = ..., value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., split: _Optional[str] = ..., cells: _Optional[int] = ..., subjects: _Optional[int] = ..., siblings: _Optional[int] = ...) -> None: ...

class GetStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetStatusResponse(_message.Message):
    __slots__ = ("version", "started_at", "degraded", "folders", "queues", "journal", "subscribers", "max_image_bytes", "model", "time_to_serving", "notice", "drift")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    STARTED_AT_FIELD_NUMBER: _ClassVar[int]
    DEGRADED_FIELD_NUMBER: _ClassVar[int]
    FOLDERS_FIELD_NUMBER: _ClassVar[int]
    QUEUES_FIELD_NUMBER: _ClassVar[int]
    JOURNAL_FIELD_NUMBER: _ClassVar[int]
    SUBSCRIBERS_FIELD_NUMBER: _ClassVar[int]
    MAX_IMAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TIME_TO_SERVING_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    DRIFT_FIELD_NUMBER: _ClassVar[int]
    version: str
    started_at: _timestamp_pb2.Timestamp
    degraded: _containers.RepeatedCompositeFieldContainer[Degradation]
    folders: _containers.RepeatedCompositeFieldContainer[FolderStatus]
    queues: QueueStatus
    journal: JournalStatus
    subscribers: int
    max_image_bytes: int
    model: Model
    time_to_serving: _duration_pb2.Duration
    notice: str
    drift: _drift_pb2.Drift
    def __init__(self, version: _Optional[str] = ..., started_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., degraded: _Optional[_Iterable[_Union[Degradation, _Mapping]]] = ..., folders: _Optional[_Iterable[_Union[FolderStatus, _Mapping]]] = ..., queues: _Optional[_Union[QueueStatus, _Mapping]] = ..., journal: _Optional[_Union[JournalStatus, _Mapping]] = ..., subscribers: _Optional[int] = ..., max_image_bytes: _Optional[int] = ..., model: _Optional[_Union[Model, _Mapping]] = ..., time_to_serving: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., notice: _Optional[str] = ..., drift: _Optional[_Union[_drift_pb2.Drift, _Mapping]] = ...) -> None: ...

class Degradation(_message.Message):
    __slots__ = ("component", "message", "since")
    COMPONENT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    component: str
    message: str
    since: _timestamp_pb2.Timestamp
    def __init__(self, component: _Optional[str] = ..., message: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FolderStatus(_message.Message):
    __slots__ = ("folder", "file_system", "mode", "reachable", "settling", "queued", "oldest_waiting", "done", "duplicates", "rejected", "ignored", "last_scan_at", "last_scan_took")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    FILE_SYSTEM_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    REACHABLE_FIELD_NUMBER: _ClassVar[int]
    SETTLING_FIELD_NUMBER: _ClassVar[int]
    QUEUED_FIELD_NUMBER: _ClassVar[int]
    OLDEST_WAITING_FIELD_NUMBER: _ClassVar[int]
    DONE_FIELD_NUMBER: _ClassVar[int]
    DUPLICATES_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    IGNORED_FIELD_NUMBER: _ClassVar[int]
    LAST_SCAN_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_SCAN_TOOK_FIELD_NUMBER: _ClassVar[int]
    folder: str
    file_system: str
    mode: str
    reachable: bool
    settling: int
    queued: int
    oldest_waiting: _timestamp_pb2.Timestamp
    done: int
    duplicates: int
    rejected: int
    ignored: int
    last_scan_at: _timestamp_pb2.Timestamp
    last_scan_took: _duration_pb2.Duration
    def __init__(self, folder: _Optional[str] = ..., file_system: _Optional[str] = ..., mode: _Optional[str] = ..., reachable: _Optional[bool] = ..., settling: _Optional[int] = ..., queued: _Optional[int] = ..., oldest_waiting: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., done: _Optional[int] = ..., duplicates: _Optional[int] = ..., rejected: _Optional[int] = ..., ignored: _Optional[int] = ..., last_scan_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_scan_took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class QueueStatus(_message.Message):
    __slots__ = ("workers", "busy", "interactive", "interactive_capacity", "backlog", "backlog_capacity")
    WORKERS_FIELD_NUMBER: _ClassVar[int]
    BUSY_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_FIELD_NUMBER: _ClassVar[int]
    INTERACTIVE_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_FIELD_NUMBER: _ClassVar[int]
    BACKLOG_CAPACITY_FIELD_NUMBER: _ClassVar[int]
    workers: int
    busy: int
    interactive: int
    interactive_capacity: int
    backlog: int
    backlog_capacity: int
    def __init__(self, workers: _Optional[int] = ..., busy: _Optional[int] = ..., interactive: _Optional[int] = ..., interactive_capacity: _Optional[int] = ..., backlog: _Optional[int] = ..., backlog_capacity: _Optional[int] = ...) -> None: ...

class JournalStatus(_message.Message):
    __slots__ = ("epoch", "oldest", "newest", "size_bytes", "disk_free_bytes", "disk_floor_bytes", "audit_head", "epoch_origin", "wal_bytes")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_FREE_BYTES_FIELD_NUMBER: _ClassVar[int]
    DISK_FLOOR_BYTES_FIELD_NUMBER: _ClassVar[int]
    AUDIT_HEAD_FIELD_NUMBER: _ClassVar[int]
    EPOCH_ORIGIN_FIELD_NUMBER: _ClassVar[int]
    WAL_BYTES_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    oldest: int
    newest: int
    size_bytes: int
    disk_free_bytes: int
    disk_floor_bytes: int
    audit_head: AuditHead
    epoch_origin: EpochOrigin
    wal_bytes: int
    def __init__(self, epoch: _Optional[str] = ..., oldest: _Optional[int] = ..., newest: _Optional[int] = ..., size_bytes: _Optional[int] = ..., disk_free_bytes: _Optional[int] = ..., disk_floor_bytes: _Optional[int] = ..., audit_head: _Optional[_Union[AuditHead, _Mapping]] = ..., epoch_origin: _Optional[_Union[EpochOrigin, _Mapping]] = ..., wal_bytes: _Optional[int] = ...) -> None: ...

class EpochOrigin(_message.Message):
    __slots__ = ("reason", "at", "previous_epoch")
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_EPOCH_FIELD_NUMBER: _ClassVar[int]
    reason: str
    at: _timestamp_pb2.Timestamp
    previous_epoch: str
    def __init__(self, reason: _Optional[str] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., previous_epoch: _Optional[str] = ...) -> None: ...

class AuditHead(_message.Message):
    __slots__ = ("number", "hash")
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    HASH_FIELD_NUMBER: _ClassVar[int]
    number: int
    hash: str
    def __init__(self, number: _Optional[int] = ..., hash: _Optional[str] = ...) -> None: ...

class GetLogLevelRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetLogLevelResponse(_message.Message):
    __slots__ = ("level",)
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: LogLevel
    def __init__(self, level: _Optional[_Union[LogLevel, _Mapping]] = ...) -> None: ...

class SetLogLevelRequest(_message.Message):
    __slots__ = ("filter", "lasts")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LASTS_FIELD_NUMBER: _ClassVar[int]
    filter: str
    lasts: _duration_pb2.Duration
    def __init__(self, filter: _Optional[str] = ..., lasts: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class SetLogLevelResponse(_message.Message):
    __slots__ = ("level",)
    LEVEL_FIELD_NUMBER: _ClassVar[int]
    level: LogLevel
    def __init__(self, level: _Optional[_Union[LogLevel, _Mapping]] = ...) -> None: ...

class LogLevel(_message.Message):
    __slots__ = ("filter", "configured", "until")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    CONFIGURED_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    filter: str
    configured: str
    until: _timestamp_pb2.Timestamp
    def __init__(self, filter: _Optional[str] = ..., configured: _Optional[str] = ..., until: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
