from . import result_pb2 as _result_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetHeatMapRequest(_message.Message):
    __slots__ = ("sequence", "result_id", "image", "overlay")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESULT_ID_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    result_id: str
    image: bytes
    overlay: bool
    def __init__(self, sequence: _Optional[int] = ..., result_id: _Optional[str] = ..., image: _Optional[bytes] = ..., overlay: _Optional[bool] = ...) -> None: ...

class GetHeatMapResponse(_message.Message):
    __slots__ = ("heat_map", "overlay_png", "notice")
    HEAT_MAP_FIELD_NUMBER: _ClassVar[int]
    OVERLAY_PNG_FIELD_NUMBER: _ClassVar[int]
    NOTICE_FIELD_NUMBER: _ClassVar[int]
    heat_map: HeatMap
    overlay_png: bytes
    notice: str
    def __init__(self, heat_map: _Optional[_Union[HeatMap, _Mapping]] = ..., overlay_png: _Optional[bytes] = ..., notice: _Optional[str] = ...) -> None: ...

class HeatMap(_message.Message):
    __slots__ = ("model", "rows", "columns", "contributions", "grad_cam", "constant", "difference", "left", "top", "side", "image_width", "image_height")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    ROWS_FIELD_NUMBER: _ClassVar[int]
    COLUMNS_FIELD_NUMBER: _ClassVar[int]
    CONTRIBUTIONS_FIELD_NUMBER: _ClassVar[int]
    GRAD_CAM_FIELD_NUMBER: _ClassVar[int]
    CONSTANT_FIELD_NUMBER: _ClassVar[int]
    DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    LEFT_FIELD_NUMBER: _ClassVar[int]
    TOP_FIELD_NUMBER: _ClassVar[int]
    SIDE_FIELD_NUMBER: _ClassVar[int]
    IMAGE_WIDTH_FIELD_NUMBER: _ClassVar[int]
    IMAGE_HEIGHT_FIELD_NUMBER: _ClassVar[int]
    model: _result_pb2.ModelRef
    rows: int
    columns: int
    contributions: _containers.RepeatedScalarFieldContainer[float]
    grad_cam: _containers.RepeatedScalarFieldContainer[float]
    constant: float
    difference: float
    left: float
    top: float
    side: float
    image_width: int
    image_height: int
    def __init__(self, model: _Optional[_Union[_result_pb2.ModelRef, _Mapping]] = ..., rows: _Optional[int] = ..., columns: _Optional[int] = ..., contributions: _Optional[_Iterable[float]] = ..., grad_cam: _Optional[_Iterable[float]] = ..., constant: _Optional[float] = ..., difference: _Optional[float] = ..., left: _Optional[float] = ..., top: _Optional[float] = ..., side: _Optional[float] = ..., image_width: _Optional[int] = ..., image_height: _Optional[int] = ...) -> None: ...
