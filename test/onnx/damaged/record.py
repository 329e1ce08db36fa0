# What the reference says of damaged files: /usr/bin/python3 test/onnx/damaged/record.py. onnx 1.12 and protobuf 4.21, Debian's.
# Of each file one word: what refuses it, or a digest of what it holds.
#
#     bytes          protobuf's parser refuses it
#     values         a tensor's elements are no array
#     REASON DIGEST  onnx.checker refuses it, for a shape that is not the inferred one, for one that is left out, for a version of
#                    the format that is later than the checker's, or for another reason: "other"
#     DIGEST         it is valid
import base64
import hashlib
import json
import os
import struct
import subprocess

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto as A
from onnx import TensorProto as T
from onnx import numpy_helper

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "..", "..", "..")
MOST = 2**53 - 1
FLOATS = (T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16)


def bits(number):
    """A float32 as its bits."""
    with np.errstate(over="ignore"):
        single = np.float32(number)
    return "nan" if np.isnan(single) else struct.unpack("<I", struct.pack("<f", single))[0]


def whole(number):
    return str(max(-MOST, min(MOST, int(number))))


def tensor_of(tensor):
    array = numpy_helper.to_array(tensor).reshape(-1)
    one = bits if tensor.data_type in FLOATS else whole
    return [tensor.name, [whole(size) for size in tensor.dims], tensor.data_type, [one(number) for number in array]]


def attribute_of(attribute):
    kind = attribute.type
    if kind == A.FLOAT:
        return ["f", bits(attribute.f)]
    if kind == A.INT:
        return ["i", whole(attribute.i)]
    if kind == A.STRING:
        return ["s", attribute.s.decode()]
    if kind == A.TENSOR:
        return ["t", tensor_of(attribute.t)]
    if kind == A.GRAPH:
        return ["g", graph_of(attribute.g)]
    if kind == A.FLOATS:
        return ["floats", [bits(one) for one in attribute.floats]]
    if kind == A.INTS:
        return ["ints", [whole(one) for one in attribute.ints]]
    if kind == A.STRINGS:
        return ["strings", [one.decode() for one in attribute.strings]]
    return ["other"]


def node_of(node):
    attributes = {one.name: attribute_of(one) for one in node.attribute}
    return [node.name, node.op_type, node.domain, [*node.input], [*node.output], sorted(attributes.items())]


def size_of(dim):
    kind = dim.WhichOneof("value")
    return None if kind is None else whole(dim.dim_value) if kind == "dim_value" else dim.dim_param


def value_of(value):
    if value.type.WhichOneof("value") != "tensor_type":
        raise ValueError("no tensor")
    tensor = value.type.tensor_type
    sizes = [size_of(dim) for dim in tensor.shape.dim] if tensor.HasField("shape") else None
    return [value.name, tensor.elem_type, sizes]


def graph_of(graph):
    return [
        graph.name,
        [node_of(node) for node in graph.node],
        [tensor_of(tensor) for tensor in graph.initializer],
        [value_of(value) for value in graph.input],
        [value_of(value) for value in graph.output],
    ]


def contents_of(model):
    opsets = {"" if one.domain == "ai.onnx" else one.domain: whole(one.version) for one in model.opset_import}
    return [whole(model.ir_version), sorted(opsets.items()), graph_of(model.graph)]


def checked(model):
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception as error:
        return str(error)
    return "valid"


def reason_of(said):
    reasons = {"[ShapeInferenceError]": "shape", "Field 'shape' of 'type' is required": "open", "ir_version is higher": "version"}
    return next((reason for words, reason in reasons.items() if words in said), "other")


def within(work):
    """In a process of its own: damaged files end it."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        os.write(into, work().encode()[:4000])
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as pipe:
        said = pipe.read().decode(errors="replace")
    os.waitpid(child, 0)
    return said or "crash"


def verdict(bytes_):
    try:
        model = onnx.load_from_string(bytes_)
    except DecodeError:
        return "bytes"
    said = within(lambda: checked(model))
    try:
        contents = json.dumps(contents_of(model), separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(contents.encode()).hexdigest()[:10]
    except Exception:
        return "values"
    return digest if said == "valid" else f"{reason_of(said)} {digest}"


if __name__ == "__main__":
    made = subprocess.run(["node", "--import", "./bench/typescript.mjs", os.path.join(here, "files.ts")],
                          cwd=root, stdout=subprocess.PIPE, check=True, text=True)
    damaged = json.loads(made.stdout)
    verdicts = {}
    for file in damaged["files"]:
        verdicts[file["name"]] = verdict(base64.b64decode(file["onnx"]))
    with open(os.path.join(here, "recorded.json"), "w") as out:
        json.dump({"digest": damaged["digest"], "verdicts": verdicts}, out, indent=1)
        out.write("\n")
    subprocess.run(["npx", "biome", "format", "--write", os.path.join(here, "recorded.json")], cwd=root, check=True)
    kinds = [one.split(" ")[0] if " " in one or one in ("bytes", "values") else "valid" for one in verdicts.values()]
    print({kind: kinds.count(kind) for kind in sorted(set(kinds))})
