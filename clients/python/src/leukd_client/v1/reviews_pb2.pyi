import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
from . import result_pb2 as _result_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Review(_message.Message):
    __slots__ = ("sequence", "epoch", "review_id", "result_sequence", "result_id", "label", "confirms", "reviewer", "note", "client", "reviewed_at", "specimen", "slide", "cell", "path", "suggested_label", "suggested_decision", "suggested_probability", "blind")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    RESULT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIRMS_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    REVIEWED_AT_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_LABEL_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_DECISION_FIELD_NUMBER: _ClassVar[int]
    SUGGESTED_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    BLIND_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    epoch: str
    review_id: str
    result_sequence: int
    result_id: str
    label: str
    confirms: bool
    reviewer: str
    note: str
    client: str
    reviewed_at: _timestamp_pb2.Timestamp
    specimen: str
    slide: str
    cell: str
    path: _result_pb2.FolderSource
    suggested_label: str
    suggested_decision: _result_pb2.Decision
    suggested_probability: float
    blind: bool
    def __init__(self, sequence: _Optional[int] = ..., epoch: _Optional[str] = ..., review_id: _Optional[str] = ..., result_sequence: _Optional[int] = ..., result_id: _Optional[str] = ..., label: _Optional[str] = ..., confirms: _Optional[bool] = ..., reviewer: _Optional[str] = ..., note: _Optional[str] = ..., client: _Optional[str] = ..., reviewed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., specimen: _Optional[str] = ..., slide: _Optional[str] = ..., cell: _Optional[str] = ..., path: _Optional[_Union[_result_pb2.FolderSource, _Mapping]] = ..., suggested_label: _Optional[str] = ..., suggested_decision: _Optional[_Union[_result_pb2.Decision, str]] = ..., suggested_probability: _Optional[float] = ..., blind: _Optional[bool] = ...) -> None: ...

class SubmitReviewRequest(_message.Message):
    __slots__ = ("sequence", "result_id", "label", "reviewer", "note", "review_id", "blind")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    NOTE_FIELD_NUMBER: _ClassVar[int]
    REVIEW_ID_FIELD_NUMBER: _ClassVar[int]
    BLIND_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    result_id: str
    label: str
    reviewer: str
    note: str
    review_id: str
    blind: bool
    def __init__(self, sequence: _Optional[int] = ..., result_id: _Optional[str] = ..., label: _Optional[str] = ..., reviewer: _Optional[str] = ..., note: _Optional[str] = ..., review_id: _Optional[str] = ..., blind: _Optional[bool] = ...) -> None: ...

class SubmitReviewResponse(_message.Message):
    __slots__ = ("review", "reused")
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    review: Review
    reused: bool
    def __init__(self, review: _Optional[_Union[Review, _Mapping]] = ..., reused: _Optional[bool] = ...) -> None: ...

class ListReviewsRequest(_message.Message):
    __slots__ = ("result_sequence", "result_id", "specimen", "reviewer", "corrections", "page_size", "page_token", "newest_first")
    RESULT_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    REVIEWER_FIELD_NUMBER: _ClassVar[int]
    CORRECTIONS_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    NEWEST_FIRST_FIELD_NUMBER: _ClassVar[int]
    result_sequence: int
    result_id: str
    specimen: str
    reviewer: str
    corrections: bool
    page_size: int
    page_token: str
    newest_first: bool
    def __init__(self, result_sequence: _Optional[int] = ..., result_id: _Optional[str] = ..., specimen: _Optional[str] = ..., reviewer: _Optional[str] = ..., corrections: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., newest_first: _Optional[bool] = ...) -> None: ...

class ListReviewsResponse(_message.Message):
    __slots__ = ("reviews", "next_page_token")
    REVIEWS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    reviews: _containers.RepeatedCompositeFieldContainer[Review]
    next_page_token: str
    def __init__(self, reviews: _Optional[_Iterable[_Union[Review, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class Signature(_message.Message):
    __slots__ = ("sequence", "epoch", "signature_id", "specimen", "act", "signer", "acted_by", "reason", "withdraws", "all", "hem", "review", "rejected", "client", "signed_at")
    class Act(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ACT_UNSPECIFIED: _ClassVar[Signature.Act]
        ACT_SIGNED: _ClassVar[Signature.Act]
        ACT_WITHDRAWN: _ClassVar[Signature.Act]
    ACT_UNSPECIFIED: Signature.Act
    ACT_SIGNED: Signature.Act
    ACT_WITHDRAWN: Signature.Act
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    EPOCH_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_ID_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    ACT_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    ACTED_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWS_FIELD_NUMBER: _ClassVar[int]
    ALL_FIELD_NUMBER: _ClassVar[int]
    HEM_FIELD_NUMBER: _ClassVar[int]
    REVIEW_FIELD_NUMBER: _ClassVar[int]
    REJECTED_FIELD_NUMBER: _ClassVar[int]
    CLIENT_FIELD_NUMBER: _ClassVar[int]
    SIGNED_AT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    epoch: str
    signature_id: str
    specimen: str
    act: Signature.Act
    signer: str
    acted_by: str
    reason: str
    withdraws: int
    all: int
    hem: int
    review: int
    rejected: int
    client: str
    signed_at: _timestamp_pb2.Timestamp
    def __init__(self, sequence: _Optional[int] = ..., epoch: _Optional[str] = ..., signature_id: _Optional[str] = ..., specimen: _Optional[str] = ..., act: _Optional[_Union[Signature.Act, str]] = ..., signer: _Optional[str] = ..., acted_by: _Optional[str] = ..., reason: _Optional[str] = ..., withdraws: _Optional[int] = ..., all: _Optional[int] = ..., hem: _Optional[int] = ..., review: _Optional[int] = ..., rejected: _Optional[int] = ..., client: _Optional[str] = ..., signed_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignOff(_message.Message):
    __slots__ = ("state", "readers", "to_review", "first_to_review", "signatures", "since", "as_of_sequence")
    class State(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        STATE_UNSPECIFIED: _ClassVar[SignOff.State]
        STATE_OPEN: _ClassVar[SignOff.State]
        STATE_WAITING: _ClassVar[SignOff.State]
        STATE_SIGNED: _ClassVar[SignOff.State]
        STATE_CHANGED: _ClassVar[SignOff.State]
    STATE_UNSPECIFIED: SignOff.State
    STATE_OPEN: SignOff.State
    STATE_WAITING: SignOff.State
    STATE_SIGNED: SignOff.State
    STATE_CHANGED: SignOff.State
    class Held(_message.Message):
        __slots__ = ("signature", "counts")
        SIGNATURE_FIELD_NUMBER: _ClassVar[int]
        COUNTS_FIELD_NUMBER: _ClassVar[int]
        signature: Signature
        counts: bool
        def __init__(self, signature: _Optional[_Union[Signature, _Mapping]] = ..., counts: _Optional[bool] = ...) -> None: ...
    class Since(_message.Message):
        __slots__ = ("newest", "results", "reviews")
        NEWEST_FIELD_NUMBER: _ClassVar[int]
        RESULTS_FIELD_NUMBER: _ClassVar[int]
        REVIEWS_FIELD_NUMBER: _ClassVar[int]
        newest: int
        results: int
        reviews: int
        def __init__(self, newest: _Optional[int] = ..., results: _Optional[int] = ..., reviews: _Optional[int] = ...) -> None: ...
    STATE_FIELD_NUMBER: _ClassVar[int]
    READERS_FIELD_NUMBER: _ClassVar[int]
    TO_REVIEW_FIELD_NUMBER: _ClassVar[int]
    FIRST_TO_REVIEW_FIELD_NUMBER: _ClassVar[int]
    SIGNATURES_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    state: SignOff.State
    readers: int
    to_review: int
    first_to_review: _containers.RepeatedScalarFieldContainer[int]
    signatures: _containers.RepeatedCompositeFieldContainer[SignOff.Held]
    since: SignOff.Since
    as_of_sequence: int
    def __init__(self, state: _Optional[_Union[SignOff.State, str]] = ..., readers: _Optional[int] = ..., to_review: _Optional[int] = ..., first_to_review: _Optional[_Iterable[int]] = ..., signatures: _Optional[_Iterable[_Union[SignOff.Held, _Mapping]]] = ..., since: _Optional[_Union[SignOff.Since, _Mapping]] = ..., as_of_sequence: _Optional[int] = ...) -> None: ...

class SignSpecimenRequest(_message.Message):
    __slots__ = ("specimen", "signer", "as_of_sequence", "signature_id")
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    AS_OF_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_ID_FIELD_NUMBER: _ClassVar[int]
    specimen: str
    signer: str
    as_of_sequence: int
    signature_id: str
    def __init__(self, specimen: _Optional[str] = ..., signer: _Optional[str] = ..., as_of_sequence: _Optional[int] = ..., signature_id: _Optional[str] = ...) -> None: ...

class SignSpecimenResponse(_message.Message):
    __slots__ = ("signature", "reused", "sign_off")
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    SIGN_OFF_FIELD_NUMBER: _ClassVar[int]
    signature: Signature
    reused: bool
    sign_off: SignOff
    def __init__(self, signature: _Optional[_Union[Signature, _Mapping]] = ..., reused: _Optional[bool] = ..., sign_off: _Optional[_Union[SignOff, _Mapping]] = ...) -> None: ...

class WithdrawSignatureRequest(_message.Message):
    __slots__ = ("specimen", "signer", "withdrawn_by", "reason", "signature_id")
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SIGNER_FIELD_NUMBER: _ClassVar[int]
    WITHDRAWN_BY_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_ID_FIELD_NUMBER: _ClassVar[int]
    specimen: str
    signer: str
    withdrawn_by: str
    reason: str
    signature_id: str
    def __init__(self, specimen: _Optional[str] = ..., signer: _Optional[str] = ..., withdrawn_by: _Optional[str] = ..., reason: _Optional[str] = ..., signature_id: _Optional[str] = ...) -> None: ...

class WithdrawSignatureResponse(_message.Message):
    __slots__ = ("signature", "reused", "sign_off")
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    SIGN_OFF_FIELD_NUMBER: _ClassVar[int]
    signature: Signature
    reused: bool
    sign_off: SignOff
    def __init__(self, signature: _Optional[_Union[Signature, _Mapping]] = ..., reused: _Optional[bool] = ..., sign_off: _Optional[_Union[SignOff, _Mapping]] = ...) -> None: ...
