import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import empty_pb2 as _empty_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import control_pb2 as _control_pb2
from . import result_pb2 as _result_pb2
from . import reviews_pb2 as _reviews_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Filter(_message.Message):
    __slots__ = ("specimen", "slide", "label", "decisions", "path_glob", "minimum_probability")
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DECISIONS_FIELD_NUMBER: _ClassVar[int]
    PATH_GLOB_FIELD_NUMBER: _ClassVar[int]
    MINIMUM_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    specimen: str
    slide: str
    label: str
    decisions: _containers.RepeatedScalarFieldContainer[_result_pb2.Decision]
    path_glob: str
    minimum_probability: float
    def __init__(self, specimen: _Optional[str] = ..., slide: _Optional[str] = ..., label: _Optional[str] = ..., decisions: _Optional[_Iterable[_Union[_result_pb2.Decision, str]]] = ..., path_glob: _Optional[str] = ..., minimum_probability: _Optional[float] = ...) -> None: ...

class Cursor(_message.Message):
    __slots__ = ("epoch", "sequence")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    sequence: int
    def __init__(self, epoch: _Optional[str] = ..., sequence: _Optional[int] = ...) -> None: ...

class SubscribeRequest(_message.Message):
    __slots__ = ("latest", "earliest", "after", "filter")
    LATEST_FIELD_NUMBER: _ClassVar[int]
    EARLIEST_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    latest: _empty_pb2.Empty
    earliest: _empty_pb2.Empty
    after: Cursor
    filter: Filter
    def __init__(self, latest: _Optional[_Union[_empty_pb2.Empty, _Mapping]] = ..., earliest: _Optional[_Union[_empty_pb2.Empty, _Mapping]] = ..., after: _Optional[_Union[Cursor, _Mapping]] = ..., filter: _Optional[_Union[Filter, _Mapping]] = ...) -> None: ...

class Event(_message.Message):
    __slots__ = ("hello", "result", "gap", "heartbeat", "review", "specimen", "field", "signature")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    RESULT_FIELD_NUMBER: _ClassVar[int]
    GAP_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    result: _result_pb2.Result
    gap: Gap
    heartbeat: Heartbeat
    review: _reviews_pb2.Review
    specimen: SpecimenEvent
    field: FieldEvent
    signature: _reviews_pb2.Signature
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ..., gap: _Optional[_Union[Gap, _Mapping]] = ..., heartbeat: _Optional[_Union[Heartbeat, _Mapping]] = ..., review: _Optional[_Union[_reviews_pb2.Review, _Mapping]] = ..., specimen: _Optional[_Union[SpecimenEvent, _Mapping]] = ..., field: _Optional[_Union[FieldEvent, _Mapping]] = ..., signature: _Optional[_Union[_reviews_pb2.Signature, _Mapping]] = ...) -> None: ...

class SpecimenEvent(_message.Message):
    __slots__ = ("sequence", "epoch", "specimen", "round", "cause", "marker", "all", "hem", "review", "rejected", "first_classified_at", "last_classified_at", "stored_at")
    class Cause(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        CAUSE_UNSPECIFIED: _ClassVar[SpecimenEvent.Cause]
        CAUSE_QUIET: _ClassVar[SpecimenEvent.Cause]
        CAUSE_MARKER: _ClassVar[SpecimenEvent.Cause]
    CAUSE_UNSPECIFIED: SpecimenEvent.Cause
    CAUSE_QUIET: SpecimenEvent.Cause
    CAUSE_MARKER: SpecimenEvent.Cause
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    ROUND_FIELD_NUMBER: _ClassVar[int]
    CAUSE_FIELD_NUMBER: _ClassVar[int]
    MARKER_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    HEM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    FIRST_CLASSIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_CLASSIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    STORED_AT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    epoch: str
    specimen: str
    round: int
    cause: SpecimenEvent.Cause
    marker: _result_pb2.FolderSource
    all: int
    hem: int
    review: int
    rejected: int
    first_classified_at: _timestamp_pb2.Timestamp
    last_classified_at: _timestamp_pb2.Timestamp
    stored_at: _timestamp_pb2.Timestamp
    def __init__(self, sequence: _Optional[int] = ..., epoch: _Optional[str] = ..., specimen: _Optional[str] = ..., round: _Optional[int] = ..., cause: _Optional[_Union[SpecimenEvent.Cause, str]] = ..., marker: _Optional[_Union[_result_pb2.FolderSource, _Mapping]] = ..., all: _Optional[int] = ..., hem: _Optional[int] = ..., review: _Optional[int] = ..., rejected: _Optional[int] = ..., first_classified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_classified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., stored_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class FieldEvent(_message.Message):
    __slots__ = ("sequence", "epoch", "capture", "all", "hem", "review", "rejected", "took", "supersedes", "stored_at", "micrometres_per_pixel", "scale_source", "red_cell_diameter", "set_aside")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    CAPTURE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    HEM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    TOOK_FIELD_NUMBER: _ClassVar[int]
    SUPERSEDES_FIELD_NUMBER: _ClassVar[int]
    STORED_AT_FIELD_NUMBER: _ClassVar[int]
    MICROMETRES_PER_PIXEL_FIELD_NUMBER: _ClassVar[int]
    SCALE_SOURCE_FIELD_NUMBER: _ClassVar[int]
    RED_CELL_DIAMETER_FIELD_NUMBER: _ClassVar[int]
    SET_ASIDE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    epoch: str
    capture: _result_pb2.Capture
    all: int
    hem: int
    review: int
    rejected: int
    took: _duration_pb2.Duration
    supersedes: int
    stored_at: _timestamp_pb2.Timestamp
    micrometres_per_pixel: float
    scale_source: str
    red_cell_diameter: float
    set_aside: SetAside
    def __init__(self, sequence: _Optional[int] = ..., epoch: _Optional[str] = ..., capture: _Optional[_Union[_result_pb2.Capture, _Mapping]] = ..., all: _Optional[int] = ..., hem: _Optional[int] = ..., review: _Optional[int] = ..., rejected: _Optional[int] = ..., took: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., supersedes: _Optional[int] = ..., stored_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., micrometres_per_pixel: _Optional[float] = ..., scale_source: _Optional[str] = ..., red_cell_diameter: _Optional[float] = ..., set_aside: _Optional[_Union[SetAside, _Mapping]] = ...) -> None: ...

class SetAside(_message.Message):
    __slots__ = ("edge", "smudges", "deposits", "platelet_clumps", "burst")
    EDGE_FIELD_NUMBER: _ClassVar[int]
    SMUDGES_FIELD_NUMBER: _ClassVar[int]
    DEPOSITS_FIELD_NUMBER: _ClassVar[int]
    PLATELET_CLUMPS_FIELD_NUMBER: _ClassVar[int]
    BURST_FIELD_NUMBER: _ClassVar[int]
    edge: int
    smudges: int
    deposits: int
    platelet_clumps: int
    burst: int
    def __init__(self, edge: _Optional[int] = ..., smudges: _Optional[int] = ..., deposits: _Optional[int] = ..., platelet_clumps: _Optional[int] = ..., burst: _Optional[int] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("epoch", "oldest", "newest", "model", "heartbeat_interval")
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    OLDEST_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    HEARTBEAT_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    epoch: str
    oldest: int
    newest: int
    model: _control_pb2.Model
    heartbeat_interval: _duration_pb2.Duration
    def __init__(self, epoch: _Optional[str] = ..., oldest: _Optional[int] = ..., newest: _Optional[int] = ..., model: _Optional[_Union[_control_pb2.Model, _Mapping]] = ..., heartbeat_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class Gap(_message.Message):
    __slots__ = ("to",)
    FROM_FIELD_NUMBER: _ClassVar[int]
    TO_FIELD_NUMBER: _ClassVar[int]
    to: int
    def __init__(self, to: _Optional[int] = ..., **kwargs) -> None: ...

class Heartbeat(_message.Message):
    __slots__ = ("sequence", "at")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    at: _timestamp_pb2.Timestamp
    def __init__(self, sequence: _Optional[int] = ..., at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class GetResultRequest(_message.Message):
    __slots__ = ("sequence", "result_id", "path")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    result_id: str
    path: _result_pb2.FolderSource
    def __init__(self, sequence: _Optional[int] = ..., result_id: _Optional[str] = ..., path: _Optional[_Union[_result_pb2.FolderSource, _Mapping]] = ...) -> None: ...

class GetResultResponse(_message.Message):
    __slots__ = ("result",)
    RESULT_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.Result
    def __init__(self, result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ...) -> None: ...

class ListResultsRequest(_message.Message):
    __slots__ = ("filter", "page_size", "page_token", "newest_first", "standing")
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    STANDING_FIELD_NUMBER: _ClassVar[int]
    filter: Filter
    page_size: int
    page_token: str
    newest_first: bool
    standing: _result_pb2.Standing.State
    def __init__(self, filter: _Optional[_Union[Filter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., newest_first: _Optional[bool] = ..., standing: _Optional[_Union[_result_pb2.Standing.State, str]] = ...) -> None: ...

class ListResultsResponse(_message.Message):
    __slots__ = ("results", "next_page_token")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_result_pb2.Result]
    next_page_token: str
    def __init__(self, results: _Optional[_Iterable[_Union[_result_pb2.Result, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class GetSpecimenRequest(_message.Message):
    __slots__ = ("specimen", "slide")
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    specimen: str
    slide: str
    def __init__(self, specimen: _Optional[str] = ..., slide: _Optional[str] = ...) -> None: ...

class Fraction(_message.Message):
    __slots__ = ("value", "lower", "upper")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    value: float
    lower: float
    upper: float
    def __init__(self, value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ...) -> None: ...

class SlideCounts(_message.Message):
    __slots__ = ("slide", "all", "hem", "review", "rejected", "blast_fraction")
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    HEM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    BLAST_FRACTION_FIELD_NUMBER: _ClassVar[int]
    slide: str
    all: int
    hem: int
    review: int
    rejected: int
    blast_fraction: Fraction
    def __init__(self, slide: _Optional[str] = ..., all: _Optional[int] = ..., hem: _Optional[int] = ..., review: _Optional[int] = ..., rejected: _Optional[int] = ..., blast_fraction: _Optional[_Union[Fraction, _Mapping]] = ...) -> None: ...

class CorrectedFraction(_message.Message):
    __slots__ = ("value", "lower", "upper", "reason", "at_or_above", "classified", "sensitivity", "specificity")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    AT_OR_ABOVE_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIED_FIELD_NUMBER: _ClassVar[int]
    SENSITIVITY_FIELD_NUMBER: _ClassVar[int]
    SPECIFICITY_FIELD_NUMBER: _ClassVar[int]
    value: float
    lower: float
    upper: float
    reason: _result_pb2.Reason
    at_or_above: int
    classified: int
    sensitivity: float
    specificity: float
    def __init__(self, value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., reason: _Optional[_Union[_result_pb2.Reason, _Mapping]] = ..., at_or_above: _Optional[int] = ..., classified: _Optional[int] = ..., sensitivity: _Optional[float] = ..., specificity: _Optional[float] = ...) -> None: ...

class FractionFlag(_message.Message):
    __slots__ = ("fraction", "blast_fraction", "corrected_fraction")
    FRACTION_FIELD_NUMBER: _ClassVar[int]
    BLAST_FRACTION_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FRACTION_FIELD_NUMBER: _ClassVar[int]
    fraction: float
    blast_fraction: str
    corrected_fraction: str
    def __init__(self, fraction: _Optional[float] = ..., blast_fraction: _Optional[str] = ..., corrected_fraction: _Optional[str] = ...) -> None: ...

class GetSpecimenResponse(_message.Message):
    __slots__ = ("specimen", "all", "hem", "review", "rejected", "blast_fraction", "slides", "first_classified_at", "last_classified_at", "as_of_sequence", "slide", "per_slide", "corrected_fraction", "flags", "notice", "sign_off", "score")
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    HEM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    BLAST_FRACTION_FIELD_NUMBER: _ClassVar[int]
    SLIDES_FIELD_NUMBER: _ClassVar[int]
    FIRST_CLASSIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    LAST_CLASSIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    PER_SLIDE_FIELD_NUMBER: _ClassVar[int]
    CORRECTED_FRACTION_FIELD_NUMBER: _ClassVar[int]
    FLAGS_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    SIGN_OFF_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    specimen: str
    all: int
    hem: int
    review: int
    rejected: int
    blast_fraction: Fraction
    slides: _containers.RepeatedScalarFieldContainer[str]
    first_classified_at: _timestamp_pb2.Timestamp
    last_classified_at: _timestamp_pb2.Timestamp
    as_of_sequence: int
    slide: str
    per_slide: _containers.RepeatedCompositeFieldContainer[SlideCounts]
    corrected_fraction: CorrectedFraction
    flags: _containers.RepeatedCompositeFieldContainer[FractionFlag]
    notice: str
    sign_off: _reviews_pb2.SignOff
    score: SpecimenScore
    def __init__(self, specimen: _Optional[str] = ..., all: _Optional[int] = ..., hem: _Optional[int] = ..., review: _Optional[int] = ..., rejected: _Optional[int] = ..., blast_fraction: _Optional[_Union[Fraction, _Mapping]] = ..., slides: _Optional[_Iterable[str]] = ..., first_classified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., last_classified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., as_of_sequence: _Optional[int] = ..., slide: _Optional[str] = ..., per_slide: _Optional[_Iterable[_Union[SlideCounts, _Mapping]]] = ..., corrected_fraction: _Optional[_Union[CorrectedFraction, _Mapping]] = ..., flags: _Optional[_Iterable[_Union[FractionFlag, _Mapping]]] = ..., notice: _Optional[str] = ..., sign_off: _Optional[_Union[_reviews_pb2.SignOff, _Mapping]] = ..., score: _Optional[_Union[SpecimenScore, _Mapping]] = ...) -> None: ...

class SpecimenScore(_message.Message):
    __slots__ = ("value", "lower", "upper", "cells", "persons_with_all", "persons_with_all_below", "healthy_persons", "healthy_persons_below", "reason")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    LOWER_FIELD_NUMBER: _ClassVar[int]
    UPPER_FIELD_NUMBER: _ClassVar[int]
    CELLS_FIELD_NUMBER: _ClassVar[int]
    PERSONS_WITH_ALL_FIELD_NUMBER: _ClassVar[int]
    PERSONS_WITH_ALL_BELOW_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_PERSONS_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_PERSONS_BELOW_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    value: float
    lower: float
    upper: float
    cells: int
    persons_with_all: int
    persons_with_all_below: int
    healthy_persons: int
    healthy_persons_below: int
    reason: _result_pb2.Reason
    def __init__(self, value: _Optional[float] = ..., lower: _Optional[float] = ..., upper: _Optional[float] = ..., cells: _Optional[int] = ..., persons_with_all: _Optional[int] = ..., persons_with_all_below: _Optional[int] = ..., healthy_persons: _Optional[int] = ..., healthy_persons_below: _Optional[int] = ..., reason: _Optional[_Union[_result_pb2.Reason, _Mapping]] = ...) -> None: ...

class ListSpecimensRequest(_message.Message):
    __slots__ = ("page_size", "page_token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    page_token: str
    def __init__(self, page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListedSpecimen(_message.Message):
    __slots__ = ("specimen", "all", "hem", "review", "rejected", "sign_off", "last_classified_at")
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    HEM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    SIGN_OFF_FIELD_NUMBER: _ClassVar[int]
    LAST_CLASSIFIED_AT_FIELD_NUMBER: _ClassVar[int]
    specimen: str
    all: int
    hem: int
    review: int
    rejected: int
    sign_off: _reviews_pb2.SignOff
    last_classified_at: _timestamp_pb2.Timestamp
    def __init__(self, specimen: _Optional[str] = ..., all: _Optional[int] = ..., hem: _Optional[int] = ..., review: _Optional[int] = ..., rejected: _Optional[int] = ..., sign_off: _Optional[_Union[_reviews_pb2.SignOff, _Mapping]] = ..., last_classified_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class ListSpecimensResponse(_message.Message):
    __slots__ = ("specimens", "next_page_token")
    SPECIMENS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    specimens: _containers.RepeatedCompositeFieldContainer[ListedSpecimen]
    next_page_token: str
    def __init__(self, specimens: _Optional[_Iterable[_Union[ListedSpecimen, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
