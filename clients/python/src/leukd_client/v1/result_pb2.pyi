import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Decision(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DECISION_UNSPECIFIED: _ClassVar[Decision]
    DECISION_ALL: _ClassVar[Decision]
    DECISION_HEM: _ClassVar[Decision]
    DECISION_REVIEW: _ClassVar[Decision]
    DECISION_REJECTED: _ClassVar[Decision]
DECISION_UNSPECIFIED: Decision
DECISION_ALL: Decision
DECISION_HEM: Decision
DECISION_REVIEW: Decision
DECISION_REJECTED: Decision

class ClassProbability(_message.Message):
    __slots__ = ("label", "probability")
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    label: str
    probability: float
    def __init__(self, label: _Optional[str] = ..., probability: _Optional[float] = ...) -> None: ...

class Reason(_message.Message):
    __slots__ = ("code", "message")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    code: str
    message: str
    def __init__(self, code: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...

class Source(_message.Message):
    __slots__ = ("folder", "rpc")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    RPC_FIELD_NUMBER: _ClassVar[int]
    folder: FolderSource
    rpc: RpcSource
    def __init__(self, folder: _Optional[_Union[FolderSource, _Mapping]] = ..., rpc: _Optional[_Union[RpcSource, _Mapping]] = ...) -> None: ...

class FolderSource(_message.Message):
    __slots__ = ("folder", "path")
    FOLDER_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    folder: str
    path: str
    def __init__(self, folder: _Optional[str] = ..., path: _Optional[str] = ...) -> None: ...

class RpcSource(_message.Message):
    __slots__ = ("peer", "request_id", "client")
    PEER_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    peer: str
    request_id: str
    client: str
    def __init__(self, peer: _Optional[str] = ..., request_id: _Optional[str] = ..., client: _Optional[str] = ...) -> None: ...

class Capture(_message.Message):
    __slots__ = ("sha256", "size_bytes", "source", "captured_at", "kind")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Capture.Kind]
        KIND_CELL: _ClassVar[Capture.Kind]
        KIND_FIELD: _ClassVar[Capture.Kind]
    KIND_UNSPECIFIED: Capture.Kind
    KIND_CELL: Capture.Kind
    KIND_FIELD: Capture.Kind
    SHA256_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    CAPTURED_AT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    sha256: str
    size_bytes: int
    source: Source
    captured_at: _timestamp_pb2.Timestamp
    kind: Capture.Kind
    def __init__(self, sha256: _Optional[str] = ..., size_bytes: _Optional[int] = ..., source: _Optional[_Union[Source, _Mapping]] = ..., captured_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., kind: _Optional[_Union[Capture.Kind, str]] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("x", "y", "width", "height")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    WIDTH_FIELD_NUMBER: _ClassVar[int]
    HEIGHT_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    width: int
    height: int
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ..., width: _Optional[int] = ..., height: _Optional[int] = ...) -> None: ...

class Point(_message.Message):
    __slots__ = ("x", "y")
    X_FIELD_NUMBER: _ClassVar[int]
    Y_FIELD_NUMBER: _ClassVar[int]
    x: int
    y: int
    def __init__(self, x: _Optional[int] = ..., y: _Optional[int] = ...) -> None: ...

class Timings(_message.Message):
    __slots__ = ("queue", "read", "decode", "preprocess", "infer")
    QUEUE_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    DECODE_FIELD_NUMBER: _ClassVar[int]
    PREPROCESS_FIELD_NUMBER: _ClassVar[int]
    INFER_FIELD_NUMBER: _ClassVar[int]
    queue: _duration_pb2.Duration
    read: _duration_pb2.Duration
    decode: _duration_pb2.Duration
    preprocess: _duration_pb2.Duration
    infer: _duration_pb2.Duration
    def __init__(self, queue: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., read: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., decode: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., preprocess: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., infer: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Quality(_message.Message):
    __slots__ = ("area", "frame", "solidity", "sharpness", "brightness", "contrast", "saturation", "hue", "feature_distance", "feature_distance_limit")
    AREA_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    SOLIDITY_FIELD_NUMBER: _ClassVar[int]
    SHARPNESS_FIELD_NUMBER: _ClassVar[int]
    BRIGHTNESS_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    SATURATION_FIELD_NUMBER: _ClassVar[int]
    HUE_FIELD_NUMBER: _ClassVar[int]
    FEATURE_DISTANCE_FIELD_NUMBER: _ClassVar[int]
    FEATURE_DISTANCE_LIMIT_FIELD_NUMBER: _ClassVar[int]
    area: float
    frame: float
    solidity: float
    sharpness: float
    brightness: float
    contrast: float
    saturation: float
    hue: float
    feature_distance: float
    feature_distance_limit: float
    def __init__(self, area: _Optional[float] = ..., frame: _Optional[float] = ..., solidity: _Optional[float] = ..., sharpness: _Optional[float] = ..., brightness: _Optional[float] = ..., contrast: _Optional[float] = ..., saturation: _Optional[float] = ..., hue: _Optional[float] = ..., feature_distance: _Optional[float] = ..., feature_distance_limit: _Optional[float] = ...) -> None: ...

class ModelRef(_message.Message):
    __slots__ = ("id", "digest")
    ID_FIELD_NUMBER: _ClassVar[int]
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    id: str
    digest: str
    def __init__(self, id: _Optional[str] = ..., digest: _Optional[str] = ...) -> None: ...

class Result(_message.Message):
    __slots__ = ("sequence", "epoch", "result_id", "capture", "ordinal", "region", "outline", "field", "specimen", "slide", "cell", "label", "probabilities", "decision", "reasons", "quality_flags", "model", "classified_at", "timings", "supersedes", "quality", "standing")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_FIELD_NUMBER: _ClassVar[int]
    ORDINAL_FIELD_NUMBER: _ClassVar[int]
    REGION_FIELD_NUMBER: _ClassVar[int]
    OUTLINE_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    PROBABILITIES_FIELD_NUMBER: _ClassVar[int]
    DECISION_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FLAGS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    TIMINGS_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDES_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    epoch: str
    result_id: str
    capture: Capture
    ordinal: int
    region: Region
    outline: _containers.RepeatedCompositeFieldContainer[Point]
    field: int
    specimen: str
    slide: str
    cell: str
    label: str
    probabilities: _containers.RepeatedCompositeFieldContainer[ClassProbability]
    decision: Decision
    reasons: _containers.RepeatedCompositeFieldContainer[Reason]
    quality_flags: _containers.RepeatedScalarFieldContainer[str]
    model: ModelRef
    classified_at: _timestamp_pb2.Timestamp
    timings: Timings
    supersedes: int
    quality: Quality
    standing: Standing
    def __init__(self, sequence: _Optional[int] = ..., epoch: _Optional[str] = ..., result_id: _Optional[str] = ..., capture: _Optional[_Union[Capture, _Mapping]] = ..., ordinal: _Optional[int] = ..., region: _Optional[_Union[Region, _Mapping]] = ..., outline: _Optional[_Iterable[_Union[Point, _Mapping]]] = ..., field: _Optional[int] = ..., specimen: _Optional[str] = ..., slide: _Optional[str] = ..., cell: _Optional[str] = ..., label: _Optional[str] = ..., probabilities: _Optional[_Iterable[_Union[ClassProbability, _Mapping]]] = ..., decision: _Optional[_Union[Decision, str]] = ..., reasons: _Optional[_Iterable[_Union[Reason, _Mapping]]] = ..., quality_flags: _Optional[_Iterable[str]] = ..., model: _Optional[_Union[ModelRef, _Mapping]] = ..., classified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., timings: _Optional[_Union[Timings, _Mapping]] = ..., supersedes: _Optional[int] = ..., quality: _Optional[_Union[Quality, _Mapping]] = ..., standing: _Optional[_Union[Standing, _Mapping]] = ...) -> None: ...

class Standing(_message.Message):
    __slots__ = ("state", "label", "reviewer", "reviewed_at", "reviews")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[Standing.State]
        STATE_SUGGESTED: _ClassVar[Standing.State]
        STATE_CONFIRMED: _ClassVar[Standing.State]
        STATE_CORRECTED: _ClassVar[Standing.State]
    STATE_UNSPECIFIED: Standing.State
    STATE_SUGGESTED: Standing.State
    STATE_CONFIRMED: Standing.State
    STATE_CORRECTED: Standing.State
    STATE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_AT_FIELD_NUMBER: _ClassVar[int]
    REVIEWS_FIELD_NUMBER: _ClassVar[int]
    state: Standing.State
    label: str
    reviewer: str
    reviewed_at: _timestamp_pb2.Timestamp
    reviews: int
    def __init__(self, state: _Optional[_Union[Standing.State, str]] = ..., label: _Optional[str] = ..., reviewer: _Optional[str] = ..., reviewed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., reviews: _Optional[int] = ...) -> None: ...
