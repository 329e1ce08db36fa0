# A valid file that holds what ONNX has, each in all its forms: /usr/bin/python3 test/onnx/damaged/forms.py writes forms.onnx.
import os

import numpy as np
import onnx
from onnx import TensorProto as T
from onnx import helper, numpy_helper

here = os.path.dirname(os.path.abspath(__file__))
numbers = [1, 2, 3]
listed = [
    helper.make_tensor("float", T.FLOAT, [3], [0.5, -1.5, 1e-40]),
    helper.make_tensor("double", T.DOUBLE, [3], [0.1, -1e30, 3.0]),
    helper.make_tensor("float16", T.FLOAT16, [2], [0.333, -2.0]),
    helper.make_tensor("bfloat16", T.BFLOAT16, [2], [0.333, -2.0]),
    helper.make_tensor("bool", T.BOOL, [2], [True, False]),
    *(helper.make_tensor(name, getattr(T, name.upper()), [3], numbers) for name in
      ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")),
    helper.make_tensor("least", T.INT64, [2], [-(2**63), -5]),
    helper.make_tensor("most", T.UINT64, [1], [2**63]),
]
raw = [
    numpy_helper.from_array(np.array([1, 0, 2]).astype(kind), f"raw {kind}")
    for kind in ("float32", "float64", "float16", "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")
]
tensors = [*listed, *raw]
nodes = []
for tensor in tensors:
    nodes.append(helper.make_node("Cast", [tensor.name], [f"{tensor.name}!"], to=T.FLOAT))
    nodes.append(helper.make_node("ReduceSum", [f"{tensor.name}!"], [f"{tensor.name}#"], keepdims=0))
nodes += [
    helper.make_node("Sum", [f"{tensor.name}#" for tensor in tensors], ["total"], name="all", doc_string="of all"),
    helper.make_node("Constant", [], ["one"], value_floats=[1.0, 2.0]),
    helper.make_node("Constant", [], ["two"], value_ints=[-1, 2]),
    helper.make_node("Constant", [], ["three"], value_float=2.5),
    helper.make_node("Constant", [], ["four"], value=helper.make_tensor("four", T.FLOAT, [2], [3.0, 4.0])),
    helper.make_node("Cast", ["two"], ["five"], to=T.FLOAT),
    helper.make_node("Sum", ["total", "one", "three", "four", "five"], ["sum"]),
    helper.make_node("LeakyRelu", ["sum"], ["leaky"], alpha=0.25),
    helper.make_node("Add", ["x", "leaky"], ["y"]),
]
graph = helper.make_graph(
    nodes, "forms",
    [helper.make_tensor_value_info("x", T.FLOAT, ["batch", 2])],
    [helper.make_tensor_value_info("y", T.FLOAT, ["batch", 2])],
    tensors, doc_string="all forms", value_info=[helper.make_tensor_value_info("total", T.FLOAT, [])],
)
model = helper.make_model(graph, producer_name="forms", opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
model.metadata_props.add(key="who", value="nobody")
onnx.checker.check_model(model, full_check=True)
with open(os.path.join(here, "forms.onnx"), "wb") as out:
    out.write(model.SerializeToString(deterministic=True))
