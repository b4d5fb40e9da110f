"""A leukd bundle, as other engines are to read it."""

import base64
import json
import tempfile
from pathlib import Path

import numpy
import onnx
from onnx import numpy_helper

MANIFEST = "leukd.manifest"


def manifest(model: onnx.ModelProto) -> dict:
    return json.loads(next(entry.value for entry in model.metadata_props if entry.key == MANIFEST))


def write_manifest(model: onnx.ModelProto, about: dict) -> None:
    next(entry for entry in model.metadata_props if entry.key == MANIFEST).value = json.dumps(about)


def resized(model: onnx.ModelProto, size: int) -> onnx.ModelProto:
    """The same network for inputs of another size. It has learnt nothing at that size: time alone is to be measured."""
    about = manifest(model)
    about["preprocessing"]["size"] = size
    about["id"] += f"-at-{size}"
    write_manifest(model, about)
    shape = model.graph.input[0].type.tensor_type.shape.dim
    for axis in (2, 3) if about["preprocessing"]["layout"] == "nchw" else (1, 2):
        shape[axis].dim_value = size
    del model.graph.value_info[:]
    side = size
    for node in model.graph.node:
        attributes = {attribute.name: attribute for attribute in node.attribute}
        if node.op_type != "Conv" or "strides" not in attributes or list(attributes["strides"].ints) != [2, 2]:
            continue
        # TensorFlow's SAME: what is left over goes to the right and below, and depends on the side.
        kernel, halved = attributes["kernel_shape"].ints[0], -(-side // 2)
        total = max((halved - 1) * 2 + kernel - side, 0)
        if "auto_pad" not in attributes:
            pads = [total // 2, total // 2, total - total // 2, total - total // 2]
            if "pads" in attributes:
                node.attribute.remove(attributes["pads"])
            node.attribute.append(onnx.helper.make_attribute("pads", pads))
        side = halved
    return model


def golden_answered(model: onnx.ModelProto, write_inputs) -> onnx.ModelProto:
    """The golden inputs with ONNX Runtime's answers: what the trainer saw was of the size before.

    `write_inputs(folder, count)` gives the network's inputs for that folder's images, in order of name.
    """
    import onnxruntime

    about = manifest(model)
    with tempfile.TemporaryDirectory() as folder:
        for at, golden in enumerate(about["golden"]):
            Path(folder, f"{at:03}.png").write_bytes(base64.b64decode(golden["png"]))
        inputs = write_inputs(folder, len(about["golden"]))
    plain = expanded(onnx.ModelProto.FromString(model.SerializeToString()))
    session = onnxruntime.InferenceSession(plain.SerializeToString(), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    for at, golden in enumerate(about["golden"]):
        answer = session.run(None, {name: inputs[at : at + 1]})[0][0].astype("f8")
        powers = answer if about["output"] == "probabilities" else numpy.exp(answer - answer.max())
        golden["probabilities"] = (powers / powers.sum()).tolist()
    write_manifest(model, about)
    return model


def expanded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network with all stored weights as f32, as leukd's own reader makes them."""
    graph = model.graph
    stored = {tensor.name: tensor for tensor in graph.initializer}
    kept, plain = [], []
    for node in graph.node:
        inputs = [stored.get(name) for name in node.input]
        attributes = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        values = None
        if node.op_type == "DequantizeLinear" and all(tensor is not None for tensor in inputs):
            weights, scale = (numpy_helper.to_array(tensor).astype("f4") for tensor in inputs[:2])
            zero = numpy_helper.to_array(inputs[2]).astype("f4") if len(inputs) > 2 else numpy.zeros_like(scale)
            if scale.size > 1:
                along = [1] * weights.ndim
                along[attributes.get("axis", 1)] = -1
                scale, zero = scale.reshape(along), zero.reshape(along)
            values = (weights - zero) * scale
        elif node.op_type == "Cast" and inputs[0] is not None and attributes["to"] == onnx.TensorProto.FLOAT:
            values = numpy_helper.to_array(inputs[0]).astype("f4")
        if values is None:
            kept.append(node)
        else:
            plain.append(numpy_helper.from_array(values.astype("f4"), node.output[0]))
    needed = {name for node in kept for name in node.input}
    tensors = [tensor for tensor in graph.initializer if tensor.name in needed] + plain
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(tensors)
    onnx.checker.check_model(model)
    return model
