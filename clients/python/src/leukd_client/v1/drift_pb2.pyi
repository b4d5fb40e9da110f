import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import result_pb2 as _result_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Drift(_message.Message):
    __slots__ = ("weeks", "as_of_sequence", "counting")
    WEEKS_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    COUNTING_FIELD_NUMBER: _ClassVar[int]
    weeks: _containers.RepeatedCompositeFieldContainer[DriftWeek]
    as_of_sequence: int
    counting: bool
    def __init__(self, weeks: _Optional[_Iterable[_Union[DriftWeek, _Mapping]]] = ..., as_of_sequence: _Optional[int] = ..., counting: _Optional[bool] = ...) -> None: ...

class DriftWeek(_message.Message):
    __slots__ = ("week", "begins", "ends", "running", "removed", "models", "left_out", "stands_out")
    WEEK_FIELD_NUMBER: _ClassVar[int]
    BEGINS_FIELD_NUMBER: _ClassVar[int]
    ENDS_FIELD_NUMBER: _ClassVar[int]
    RUNNING_FIELD_NUMBER: _ClassVar[int]
    REMOVED_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    STANDS_OUT_FIELD_NUMBER: _ClassVar[int]
    week: str
    begins: _timestamp_pb2.Timestamp
    ends: _timestamp_pb2.Timestamp
    running: bool
    removed: bool
    models: _containers.RepeatedCompositeFieldContainer[DriftModel]
    left_out: int
    stands_out: _containers.RepeatedCompositeFieldContainer[DriftNote]
    def __init__(self, week: _Optional[str] = ..., begins: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ends: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., running: _Optional[bool] = ..., removed: _Optional[bool] = ..., models: _Optional[_Iterable[_Union[DriftModel, _Mapping]]] = ..., left_out: _Optional[int] = ..., stands_out: _Optional[_Iterable[_Union[DriftNote, _Mapping]]] = ...) -> None: ...

class DriftModel(_message.Message):
    __slots__ = ("model", "all", "hem", "review", "rejected", "reasons", "doubted", "doubted_share", "expected_doubted_share", "scores", "mean_score", "stability_index", "stability_index_by_chance", "figures", "reviewed", "confirmed", "agreement", "stands_out")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    HEM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    DOUBTED_FIELD_NUMBER: _ClassVar[int]
    DOUBTED_SHARE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_DOUBTED_SHARE_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    MEAN_SCORE_FIELD_NUMBER: _ClassVar[int]
    STABILITY_INDEX_FIELD_NUMBER: _ClassVar[int]
    STABILITY_INDEX_BY_CHANCE_FIELD_NUMBER: _ClassVar[int]
    FIGURES_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_FIELD_NUMBER: _ClassVar[int]
    CONFIRMED_FIELD_NUMBER: _ClassVar[int]
    AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    STANDS_OUT_FIELD_NUMBER: _ClassVar[int]
    model: _result_pb2.ModelRef
    all: int
    hem: int
    review: int
    rejected: int
    reasons: _containers.RepeatedCompositeFieldContainer[ReasonCount]
    doubted: int
    doubted_share: DriftShare
    expected_doubted_share: float
    scores: _containers.RepeatedScalarFieldContainer[int]
    mean_score: float
    stability_index: float
    stability_index_by_chance: float
    figures: _containers.RepeatedCompositeFieldContainer[DriftFigure]
    reviewed: int
    confirmed: int
    agreement: DriftShare
    stands_out: _containers.RepeatedCompositeFieldContainer[DriftNote]
    def __init__(self, model: _Optional[_Union[_result_pb2.ModelRef, _Mapping]] = ..., all: _Optional[int] = ..., hem: _Optional[int] = ..., review: _Optional[int] = ..., rejected: _Optional[int] = ..., reasons: _Optional[_Iterable[_Union[ReasonCount, _Mapping]]] = ..., doubted: _Optional[int] = ..., doubted_share: _Optional[_Union[DriftShare, _Mapping]] = ..., expected_doubted_share: _Optional[float] = ..., scores: _Optional[_Iterable[int]] = ..., mean_score: _Optional[float] = ..., stability_index: _Optional[float] = ..., stability_index_by_chance: _Optional[float] = ..., figures: _Optional[_Iterable[_Union[DriftFigure, _Mapping]]] = ..., reviewed: _Optional[int] = ..., confirmed: _Optional[int] = ..., agreement: _Optional[_Union[DriftShare, _Mapping]] = ..., stands_out: _Optional[_Iterable[_Union[DriftNote, _Mapping]]] = ...) -> None: ...

class DriftShare(_message.Message):
    __slots__ = ("value", "lower", "upper")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    value: float
    lower: float
    upper: float
    def __init__(self, value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ...) -> None: ...

class ReasonCount(_message.Message):
    __slots__ = ("code", "results")
    CODE_FIELD_NUMBER: _ClassVar[int]
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    code: str
    results: int
    def __init__(self, code: _Optional[str] = ..., results: _Optional[int] = ...) -> None: ...

class DriftFigure(_message.Message):
    __slots__ = ("name", "pictures", "mean", "deviation", "shift")
    NAME_FIELD_NUMBER: _ClassVar[int]
    PICTURES_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    DEVIATION_FIELD_NUMBER: _ClassVar[int]
    SHIFT_FIELD_NUMBER: _ClassVar[int]
    name: str
    pictures: int
    mean: float
    deviation: float
    shift: float
    def __init__(self, name: _Optional[str] = ..., pictures: _Optional[int] = ..., mean: _Optional[float] = ..., deviation: _Optional[float] = ..., shift: _Optional[float] = ...) -> None: ...

class DriftNote(_message.Message):
    __slots__ = ("what", "message")
    WHAT_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    what: str
    message: str
    def __init__(self, what: _Optional[str] = ..., message: _Optional[str] = ...) -> None: ...
