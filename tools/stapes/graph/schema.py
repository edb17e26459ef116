"""What the reader takes from each operator's options: the names that attributes have in the graph."""

from __future__ import annotations

from dataclasses import dataclass

PADDINGS = {0: "SAME", 1: "VALID"}
ACTIVATIONS = {0: "NONE", 1: "RELU", 2: "RELU_N1_TO_1", 3: "RELU6", 4: "TANH", 5: "SIGN_BIT"}


@dataclass(frozen=True)
class Options:
    """The options table of an operator: its name in the schema, and attribute → field."""

    table: str
    fields: dict[str, str]


_WINDOW = {"padding": "Padding", "stride_h": "StrideH", "stride_w": "StrideW"}
_DILATION = {"dilation_h": "DilationHFactor", "dilation_w": "DilationWFactor"}
_ACTIVATION = {"activation": "FusedActivationFunction"}
_POOL = Options(
    "Pool2DOptions", {**_WINDOW, "kernel_h": "FilterHeight", "kernel_w": "FilterWidth", **_ACTIVATION}
)
_RESIZE = {"align_corners": "AlignCorners", "half_pixel_centers": "HalfPixelCenters"}
_REDUCE = Options("ReducerOptions", {"keep_dims": "KeepDims"})

# Operators that have options the compiler or the reference needs; others have none, or are unsupported.
OPTIONS: dict[str, Options] = {
    "CONV_2D": Options("Conv2DOptions", {**_WINDOW, **_DILATION, **_ACTIVATION}),
    "DEPTHWISE_CONV_2D": Options(
        "DepthwiseConv2DOptions",
        {**_WINDOW, **_DILATION, "depth_multiplier": "DepthMultiplier", **_ACTIVATION},
    ),
    "TRANSPOSE_CONV": Options("TransposeConvOptions", {**_WINDOW, **_ACTIVATION}),
    "BATCH_MATMUL": Options("BatchMatMulOptions", {"adj_x": "AdjX", "adj_y": "AdjY"}),
    "FULLY_CONNECTED": Options(
        "FullyConnectedOptions",
        {**_ACTIVATION, "weights_format": "WeightsFormat", "keep_num_dims": "KeepNumDims"},
    ),
    "AVERAGE_POOL_2D": _POOL,
    "MAX_POOL_2D": _POOL,
    "MEAN": _REDUCE,
    "SUM": _REDUCE,
    "REDUCE_MAX": _REDUCE,
    "ADD": Options("AddOptions", _ACTIVATION),
    "SUB": Options("SubOptions", _ACTIVATION),
    "MUL": Options("MulOptions", _ACTIVATION),
    "DIV": Options("DivOptions", _ACTIVATION),
    "CONCATENATION": Options("ConcatenationOptions", {"axis": "Axis", **_ACTIVATION}),
    "SOFTMAX": Options("SoftmaxOptions", {"beta": "Beta"}),
    "LEAKY_RELU": Options("LeakyReluOptions", {"alpha": "Alpha"}),
    "SPLIT": Options("SplitOptions", {"num_splits": "NumSplits"}),
    "SPLIT_V": Options("SplitVOptions", {"num_splits": "NumSplits"}),
    "UNPACK": Options("UnpackOptions", {"num": "Num", "axis": "Axis"}),
    "STRIDED_SLICE": Options(
        "StridedSliceOptions",
        {
            "begin_mask": "BeginMask",
            "end_mask": "EndMask",
            "ellipsis_mask": "EllipsisMask",
            "new_axis_mask": "NewAxisMask",
            "shrink_axis_mask": "ShrinkAxisMask",
            "offset": "Offset",
        },
    ),
    "GELU": Options("GeluOptions", {"approximate": "Approximate"}),
    "RESIZE_BILINEAR": Options("ResizeBilinearOptions", _RESIZE),
    "RESIZE_NEAREST_NEIGHBOR": Options("ResizeNearestNeighborOptions", _RESIZE),
    "CALL_ONCE": Options("CallOnceOptions", {"subgraph": "InitSubgraphIndex"}),
    "VAR_HANDLE": Options("VarHandleOptions", {"container": "Container", "shared_name": "SharedName"}),
    "UNIDIRECTIONAL_SEQUENCE_LSTM": Options(
        "UnidirectionalSequenceLSTMOptions",
        {
            "activation": "FusedActivationFunction",
            "cell_clip": "CellClip",
            "projection_clip": "ProjClip",
            "time_major": "TimeMajor",
            "diagonal": "DiagonalRecurrentTensors",
        },
    ),
    "SVDF": Options("SVDFOptions", {"rank": "Rank", "activation": "FusedActivationFunction"}),
    "PACK": Options("PackOptions", {"values_count": "ValuesCount", "axis": "Axis"}),
    "GATHER": Options("GatherOptions", {"axis": "Axis", "batch_dims": "BatchDims"}),
}
