"""Records test/golden/limits.json: operations at the limits of what they take (counts below 0, bounds beyond an axis, any
power of a norm, axes of scalars, targets that are trained, tensors without elements), from PyTorch in float64 as
test/golden/graphOps.py does.

Run with `/usr/bin/python3 test/golden/limits.py` (PyTorch 1.13).
"""

import pathlib

import torch
import torch.nn.functional as F
from graphOps import INF, distinct, labels, normal, write


def probabilities(*shape):
    return torch.sigmoid(normal(*shape))


def number():
    return normal(1).reshape(())


def hinge(x, t):
    return (1 - x * t).clamp(min=0).mean()


def perceptron(z, t):
    return (((z >= 0).to(z.dtype) - t) * z).mean()


NORMS = [0, 0.3, 0.75, 1.5, 2, 2.5, 3, 10, -0.3, -1, -2.5, INF, -INF]
ZEROS = torch.tensor([[0.0, 0, 0, 0], [3, -4, 0, 1], [0, 2, 0, -1]])

CASES = [
    ("pad", {"padding": [[0, 0], [-1, 2]], "options": {"value": 1.5}}, [normal(3, 4)], lambda x: F.pad(x, (-1, 2), value=1.5)),
    ("pad", {"padding": [[1, -2], [-1, -1]]}, [normal(4, 5)], lambda x: F.pad(x, (-1, -1, 1, -2))),
    ("pad", {"padding": [[-1, -2]]}, [normal(3)], lambda x: F.pad(x, (-1, -2))),
    ("pad", {"padding": [[0, 0], [0, 0], [-1, 2]], "options": {"mode": "reflect"}}, [normal(2, 3, 5)], lambda x: F.pad(x, (-1, 2), mode="reflect")),
    ("pad", {"padding": [[0, 0], [0, 0], [3, -2]], "options": {"mode": "edge"}}, [normal(2, 3, 5)], lambda x: F.pad(x, (3, -2), mode="replicate")),
    ("slice", {"bounds": [[-9, 2], [2, 99], []]}, [normal(4, 5)], lambda x: x[-9:2, 2:99]),
    ("slice", {"bounds": [[1], [-9], []]}, [normal(4, 5)], lambda x: x[1:-9]),
    ("slice", {"bounds": [[7, -2], [9, 99], [2, 3]]}, [normal(4, 5)], lambda x: x[7:9:2, -2:99:3]),
    ("slice", {"bounds": [[3], [1], []]}, [normal(4)], lambda x: x[3:1]),
    *[
        ("norm", {"axes": [1], "options": {"p": str(p).replace("inf", "Infinity")}}, [x], lambda x, p=p: torch.linalg.vector_norm(x, p, 1))
        for p in NORMS
        for x in [distinct(4, 6), ZEROS]
    ],
    ("norm", {"axes": [0, 1], "options": {"p": "3"}}, [distinct(4, 6)], lambda x: torch.linalg.vector_norm(x, 3)),
    ("sum", {"axes": 0}, [number()], lambda x: x.sum(0)),
    ("mean", {"axes": [-1]}, [number()], lambda x: x.mean(-1)),
    ("max", {"axes": [0]}, [number()], lambda x: x.amax(0)),
    ("product", {"axes": [0]}, [number()], lambda x: x.prod(0)),
    ("variance", {"axes": [0], "options": {"correction": 0}}, [number()], lambda x: x.var(0, unbiased=False)),
    ("logSumExp", {"axes": [-1]}, [number()], lambda x: x.logsumexp(-1)),
    ("norm", {"axes": [0], "options": {"p": "3"}}, [number()], lambda x: torch.linalg.vector_norm(x, 3, 0)),
    ("softmax", {"axis": 0}, [number()], lambda x: x.softmax(0)),
    ("logSoftmax", {"axis": -1}, [number()], lambda x: x.log_softmax(-1)),
    ("cumulativeSum", {"axis": 0}, [number()], lambda x: x.cumsum(0)),
    ("sort", {"options": {"axis": 0}}, [number()], lambda x: x.sort(0)[0]),
    ("topK", {"k": 1, "options": {"axis": -1}}, [number()], lambda x: x.topk(1, -1)[0]),
    ("flip", {"axes": [0]}, [number()], lambda x: x.flip(0)),
    ("squeeze", {"axes": [0]}, [number()], lambda x: x.squeeze(0)),
    ("meanSquaredError", {}, [normal(3, 5), normal(3, 5)], F.mse_loss),
    ("meanAbsoluteError", {}, [distinct(3, 5), distinct(3, 5) + 0.03], F.l1_loss),
    ("huber", {}, [distinct(3, 5), distinct(3, 5) + 0.03], F.huber_loss),
    ("binaryCrossEntropy", {}, [probabilities(3, 5), probabilities(3, 5)], F.binary_cross_entropy),
    ("binaryCrossEntropyWithLogits", {}, [normal(3, 5) * 4, probabilities(3, 5)], F.binary_cross_entropy_with_logits),
    ("softmaxCrossEntropyWithDistributions", {}, [normal(3, 5), normal(3, 5).softmax(1)], F.cross_entropy),
    ("hinge", {}, [normal(3, 5), normal(3, 5)], hinge),
    ("perceptronLoss", {}, [normal(3, 5), normal(3, 5)], perceptron),
    ("sum", {"axes": [1]}, [normal(2, 0, 3)], lambda x: x.sum(1)),
    ("product", {"axes": [0]}, [normal(0, 3)], lambda x: x.prod(0)),
    ("mean", {"axes": [1]}, [normal(0, 3)], lambda x: x.mean(1)),
    ("max", {"axes": [1]}, [normal(0, 3)], lambda x: x.amax(1)),
    ("norm", {"axes": [1], "options": {"p": "3"}}, [normal(2, 0)], lambda x: torch.linalg.vector_norm(x, 3, 1)),
    ("concatenate", {"axis": 1}, [normal(2, 0), normal(2, 3)], lambda *x: torch.cat(x, 1)),
    ("split", {"parts": [0, 3], "axis": 1, "part": 1}, [normal(2, 3)], lambda x: x.split([0, 3], 1)[1]),
    ("split", {"parts": [0, 3], "axis": 1, "part": 0}, [normal(2, 3)], lambda x: x.split([0, 3], 1)[0]),
    ("pad", {"padding": [[1, 0], [0, 1]], "options": {"value": 2}}, [normal(0, 2)], lambda x: F.pad(x, (0, 1, 1, 0), value=2)),
    ("repeat", {"count": 0, "axis": 1}, [normal(2, 3)], lambda x: x.repeat_interleave(0, 1)),
    ("tile", {"counts": [2, 0]}, [normal(2, 3)], lambda x: x.repeat(2, 0)),
    ("matmul", {}, [normal(3, 0), normal(0, 5)], torch.matmul),
    ("matmul", {}, [normal(2, 3, 0), normal(0, 5)], torch.matmul),
    ("matmul", {}, [normal(0, 4), normal(4, 5)], torch.matmul),
    ("linear", {}, [normal(3, 0), normal(0, 5), normal(5)], lambda x, w, b: F.linear(x, w.T, b)),
    ("linear", {}, [normal(0, 4), normal(4, 5), normal(5)], lambda x, w, b: F.linear(x, w.T, b)),
    ("einsum", {"equation": "ij,kj->ik"}, [normal(2, 0), normal(3, 0)], lambda a, b: torch.einsum("ij,kj->ik", a, b)),
    ("gather", {"axis": 0}, [normal(7, 5), labels(7, 0)], lambda x, i: x.index_select(0, i)),
    ("gatherAlong", {"axis": 1}, [normal(4, 6), labels(6, 4, 0)], lambda x, i: x.gather(1, i)),
    ("scatterAdd", {"axis": 0}, [normal(5, 3), labels(5, 0), normal(0, 3)], lambda x, i, u: x.index_add(0, i, u)),
    ("sort", {"options": {}}, [normal(3, 0)], lambda x: x.sort()[0]),
    ("topK", {"k": 0, "options": {}}, [normal(3, 4)], lambda x: x.topk(0)[0]),
    ("softmax", {"axis": 1}, [normal(3, 0)], lambda x: x.softmax(1)),
    ("layerNorm", {}, [normal(0, 4), normal(4), normal(4)], lambda x, w, b: F.layer_norm(x, (4,), w, b)),
    ("conv1d", {}, [normal(0, 6, 2), normal(3, 2, 4)], lambda x, w: F.conv1d(x.mT.contiguous(), w.permute(2, 1, 0).contiguous()).mT),
    ("meanSquaredError", {"options": {"reduction": "sum"}}, [normal(0, 3), normal(0, 3)], lambda x, t: F.mse_loss(x, t, reduction="sum")),
    ("softmaxCrossEntropy", {"options": {"reduction": "sum"}}, [normal(0, 3), labels(3, 0)], lambda x, t: F.cross_entropy(x, t, reduction="sum")),
]

if __name__ == "__main__":
    write(pathlib.Path(__file__), CASES)
