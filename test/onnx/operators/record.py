# The ONNX project's own cases of single operators, and what they must give: python3 test/onnx/operators/record.py OPERATOR…
# onnx 1.12 (opset 17). All inputs of a case are in its file. So that there is a batch, the outputs are multiplied by an input of ones:
#
#     y [batch, n] = x [batch, 1] · all outputs, flat and one after another [1, n]
import base64
import json
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.backend.test.case.node import collect_testcases

# Names that its cases still use, and NumPy no longer has.
for name in ("float", "int", "bool", "object"):
    setattr(np, name, getattr(__builtins__, name))

MOST = 120  # elements of a case
here = os.path.dirname(os.path.abspath(__file__))
kinds = (np.float32, np.float64, np.int64, np.int32, np.bool_)


def size(case):
    inputs, outputs = case.data_sets[0]
    if any(getattr(a, "size", 0) == 0 for a in outputs):
        return np.inf
    return sum(getattr(a, "size", 0) for a in [*inputs, *outputs])


def recorded(case):
    model = case.model
    inputs, outputs = ([np.asarray(a) if isinstance(a, np.generic) else a for a in some] for some in case.data_sets[0])
    arrays = [*inputs, *outputs]
    if not all(isinstance(a, np.ndarray) and a.dtype in kinds for a in arrays):
        return None
    if any(a.size == 0 for a in outputs) or len(model.graph.node) != 1:
        return None
    graph = model.graph
    # An input may be left out, as "".
    names = [value.name for value in graph.input]
    weights = [numpy_helper.from_array(a, name) for a, name in zip(inputs, names)]
    nodes = [*graph.node]
    flat = []
    # What else these give, means and masks, is for training.
    if graph.node[0].op_type in ("LayerNormalization", "Dropout"):
        del graph.node[0].output[1:], graph.output[1:]
        outputs = outputs[:1]
    for value in graph.output:
        nodes.append(helper.make_node("Cast", [value.name], [value.name + "_float"], to=TensorProto.FLOAT))
        nodes.append(helper.make_node("Reshape", [value.name + "_float", "row_"], [value.name + "_flat"]))
        flat.append(value.name + "_flat")
    nodes.append(helper.make_node("Concat", flat, ["all_"], axis=1))
    nodes.append(helper.make_node("MatMul", ["ones_", "all_"], ["y_"]))
    weights.append(numpy_helper.from_array(np.array([1, -1], np.int64), "row_"))
    count = sum(a.size for a in outputs)
    made = helper.make_graph(
        nodes, case.name, [helper.make_tensor_value_info("ones_", TensorProto.FLOAT, ["batch", 1])],
        [helper.make_tensor_value_info("y_", TensorProto.FLOAT, ["batch", count])], weights)
    # What is older than 7 is the same in it.
    opsets = [helper.make_opsetid(one.domain, max(one.version, 7)) for one in model.opset_import]
    whole = helper.make_model(made, opset_imports=opsets, ir_version=8)
    y = np.concatenate([np.asarray(a, np.float64).ravel() for a in outputs])
    shown = [round(v, 7) if np.isfinite(v) else str(v) for v in y.tolist()]
    return {"name": case.name, "onnx": base64.b64encode(whole.SerializeToString()).decode(), "y": shown}


wanted = set(sys.argv[1:])
fitting = [case for case in collect_testcases("") if case.model.graph.node[0].op_type in wanted and "expanded" not in case.name]
# Of operators whose cases are all large, the smallest one.
least = {}
for case in fitting:
    operator = case.model.graph.node[0].op_type
    least[operator] = min(least.get(operator, np.inf), size(case))
small = [case for case in fitting if size(case) <= max(MOST, least[case.model.graph.node[0].op_type])]
cases = [one for one in map(recorded, sorted(small, key=lambda case: case.name)) if one is not None]
with open(os.path.join(here, "recorded.json"), "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(one) for one in cases) + "\n]\n")
print(len(cases), "cases")
