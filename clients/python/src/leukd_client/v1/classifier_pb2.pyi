from . import explainer_pb2 as _explainer_pb2
from . import result_pb2 as _result_pb2
from . import results_pb2 as _results_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ClassifyRequest(_message.Message):
    __slots__ = ("image", "specimen", "slide", "cell", "request_id", "heat_map")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    HEAT_MAP_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    specimen: str
    slide: str
    cell: str
    request_id: str
    heat_map: bool
    def __init__(self, image: _Optional[bytes] = ..., specimen: _Optional[str] = ..., slide: _Optional[str] = ..., cell: _Optional[str] = ..., request_id: _Optional[str] = ..., heat_map: _Optional[bool] = ...) -> None: ...

class ClassifyResponse(_message.Message):
    __slots__ = ("result", "reused", "heat_map")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    HEAT_MAP_FIELD_NUMBER: _ClassVar[int]
    result: _result_pb2.Result
    reused: bool
    heat_map: _explainer_pb2.HeatMap
    def __init__(self, result: _Optional[_Union[_result_pb2.Result, _Mapping]] = ..., reused: _Optional[bool] = ..., heat_map: _Optional[_Union[_explainer_pb2.HeatMap, _Mapping]] = ...) -> None: ...

class ClassifyFieldRequest(_message.Message):
    __slots__ = ("image", "specimen", "slide", "cell", "request_id", "micrometres_per_pixel")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SPECIMEN_FIELD_NUMBER: _ClassVar[int]
    SLIDE_FIELD_NUMBER: _ClassVar[int]
    CELL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    MICROMETRES_PER_PIXEL_FIELD_NUMBER: _ClassVar[int]
    image: bytes
    specimen: str
    slide: str
    cell: str
    request_id: str
    micrometres_per_pixel: float
    def __init__(self, image: _Optional[bytes] = ..., specimen: _Optional[str] = ..., slide: _Optional[str] = ..., cell: _Optional[str] = ..., request_id: _Optional[str] = ..., micrometres_per_pixel: _Optional[float] = ...) -> None: ...

class ClassifyFieldResponse(_message.Message):
    __slots__ = ("results", "field", "reused", "outlines_left_out")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    FIELD_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    OUTLINES_LEFT_OUT_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[_result_pb2.Result]
    field: _results_pb2.FieldEvent
    reused: bool
    outlines_left_out: bool
    def __init__(self, results: _Optional[_Iterable[_Union[_result_pb2.Result, _Mapping]]] = ..., field: _Optional[_Union[_results_pb2.FieldEvent, _Mapping]] = ..., reused: _Optional[bool] = ..., outlines_left_out: _Optional[bool] = ...) -> None: ...

class ClassifyStreamResponse(_message.Message):
    __slots__ = ("index", "request_id", "classified", "error")
    INDEX_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    CLASSIFIED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    index: int
    request_id: str
    classified: ClassifyResponse
    error: ItemError
    def __init__(self, index: _Optional[int] = ..., request_id: _Optional[str] = ..., classified: _Optional[_Union[ClassifyResponse, _Mapping]] = ..., error: _Optional[_Union[ItemError, _Mapping]] = ...) -> None: ...

class ItemError(_message.Message):
    __slots__ = ("code", "message", "reason")
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    code: int
    message: str
    reason: str
    def __init__(self, code: _Optional[int] = ..., message: _Optional[str] = ..., reason: _Optional[str] = ...) -> None: ...
