"""Records test/golden/graphOps.json: outputs and gradients of operations of the graph, from PyTorch in float64, for inputs
that are float32 numbers, with the largest error that PyTorch's own float32 makes, relative to the largest value.

Run with `/usr/bin/python3 test/golden/graphOps.py` (PyTorch 1.13).
"""

import json
import math
import pathlib

import torch
import torch.nn.functional as F

generator = torch.Generator().manual_seed(20)


def normal(*shape):
    return torch.randn(shape, generator=generator)


def positive(*shape):
    return torch.rand(shape, generator=generator) * 2.5 + 0.25


def distinct(*shape):
    count = math.prod(shape)
    return ((torch.randperm(count, generator=generator) - count / 2 + 0.25) * 0.1).reshape(shape)


def labels(classes, *shape):
    return torch.randint(classes, shape, generator=generator)



INF = float("inf")
# name in steepest/graph, arguments behind the tensors (as the test hands them on), inputs, f in PyTorch
CASES = [
    ("concatenate", {"axis": 1}, [normal(2, 3, 4), normal(2, 5, 4)], lambda a, b: torch.cat([a, b], 1)),
    ("concatenate", {"axis": -1}, [normal(3, 2), normal(3, 1), normal(3, 4)], lambda *x: torch.cat(x, -1)),
    ("concatenate", {"axis": 0}, [normal(1, 5), normal(4, 5)], lambda *x: torch.cat(x)),
    ("stack", {"axis": 0}, [normal(3, 4), normal(3, 4)], lambda *x: torch.stack(x)),
    ("stack", {"axis": -1}, [normal(3, 4), normal(3, 4), normal(3, 4)], lambda *x: torch.stack(x, -1)),
    ("split", {"parts": [2, 5], "axis": 1, "part": 1}, [normal(3, 7)], lambda x: x.split([2, 5], 1)[1]),
    ("split", {"parts": 3, "axis": 0, "part": 2}, [normal(9, 4)], lambda x: x.chunk(3)[2]),
    ("slice", {"bounds": [[1, 0], [4, 7], [1, 3]]}, [normal(5, 8)], lambda x: x[1:4, 0:7:3]),
    ("pad", {"padding": [[0, 0], [1, 2]], "options": {"value": 1.5}}, [normal(3, 4)], lambda x: F.pad(x, (1, 2), value=1.5)),
    ("pad", {"padding": [[0, 0], [0, 0], [2, 1]], "options": {"mode": "reflect"}}, [normal(2, 3, 5)], lambda x: F.pad(x, (2, 1), mode="reflect")),
    ("pad", {"padding": [[0, 0], [0, 0], [3, 2]], "options": {"mode": "edge"}}, [normal(2, 3, 5)], lambda x: F.pad(x, (3, 2), mode="replicate")),
    ("flip", {"axes": [0, 2]}, [normal(2, 3, 4)], lambda x: x.flip(0, 2)),
    ("repeat", {"count": 3, "axis": 1}, [normal(2, 4)], lambda x: x.repeat_interleave(3, 1)),
    ("tile", {"counts": [2, 3]}, [normal(2, 4)], lambda x: x.repeat(2, 3)),
    ("transpose", {"axes": [5, 0, 3, 2, 4, 1]}, [normal(2, 2, 3, 2, 2, 3)], lambda x: x.permute(5, 0, 3, 2, 4, 1)),
    ("pow", {}, [positive(3, 5), normal(5)], torch.pow),
    ("pow", {}, [positive(4, 1), normal(1, 6)], torch.pow),
    ("sin", {}, [normal(17) * 4], torch.sin),
    ("cos", {}, [normal(17) * 4], torch.cos),
    ("clip", {"least": -0.5, "most": 0.75}, [normal(4, 6)], lambda x: x.clamp(-0.5, 0.75)),
    ("average", {}, [normal(3, 4), normal(3, 4), normal(3, 4)], lambda *x: sum(x) / 3),
    ("maximum", {}, [distinct(3, 4), distinct(4) + 0.05], torch.maximum),
    ("variance", {}, [normal(6, 7)], lambda x: x.var()),
    ("variance", {"axes": [0]}, [normal(6, 7)], lambda x: x.var(0)),
    ("variance", {"axes": [0, 2], "options": {"correction": 0, "keepDims": True}}, [normal(3, 4, 5)], lambda x: x.var((0, 2), unbiased=False, keepdim=True)),
    ("standardDeviation", {"axes": [1]}, [normal(6, 7)], lambda x: x.std(1)),
    ("standardDeviation", {"axes": [1], "options": {"correction": 0}}, [normal(6, 7) + 3], lambda x: x.std(1, unbiased=False)),
    ("logSumExp", {"axes": [1]}, [normal(5, 9) * 20], lambda x: x.logsumexp(1)),
    ("logSumExp", {"axes": [0, 2], "options": {"keepDims": True}}, [normal(3, 4, 5)], lambda x: x.logsumexp((0, 2), keepdim=True)),
    ("cumulativeSum", {"axis": 1}, [normal(4, 17)], lambda x: x.cumsum(1)),
    ("cumulativeSum", {"axis": 0, "options": {"reverse": True}}, [normal(9, 3)], lambda x: x.flip(0).cumsum(0).flip(0)),
    ("product", {"axes": [1]}, [positive(4, 7)], lambda x: x.prod(1)),
    ("product", {"axes": [1]}, [torch.tensor([[2.0, 0, 3, -1], [0, 4, 0, 2]])], lambda x: x.prod(1)),
    ("matmul", {}, [normal(2, 3, 4, 5), normal(2, 3, 5, 6)], torch.matmul),
    ("matmul", {}, [normal(2, 1, 4, 5), normal(3, 5, 6)], torch.matmul),
    ("matmul", {}, [normal(3, 4, 9), normal(9, 5)], torch.matmul),
    ("matmul", {"options": {"transposeB": True}}, [normal(3, 7, 8), normal(3, 5, 8)], lambda a, b: a @ b.mT),
    ("matmul", {"options": {"transposeA": True}}, [normal(3, 8, 7), normal(8, 5)], lambda a, b: a.mT @ b),
    ("matmul", {"options": {"transposeA": True, "transposeB": True}}, [normal(2, 6, 3), normal(2, 4, 6)], lambda a, b: a.mT @ b.mT),
    *[
        ("einsum", {"equation": equation}, inputs, lambda *x, equation=equation: torch.einsum(equation, *x))
        for equation, inputs in [
            ("bqhd,bkhd->bhqk", [normal(2, 3, 2, 4), normal(2, 5, 2, 4)]),
            ("bhqk,bkhd->bqhd", [normal(2, 2, 3, 5), normal(2, 5, 2, 4)]),
            ("ij,jk", [normal(3, 4), normal(4, 5)]),
            ("i,j->ji", [normal(3), normal(5)]),
            ("ijk->ki", [normal(3, 4, 2)]),
            ("abcd,dce->abe", [normal(2, 3, 4, 5), normal(5, 4, 3)]),
        ]
    ],
    ("gather", {"axis": 0}, [normal(7, 5), labels(7, 3, 4)], lambda x, i: F.embedding(i, x)),
    ("gather", {"axis": 1}, [normal(3, 6, 2), labels(6, 9)], lambda x, i: x.index_select(1, i)),
    ("gatherAlong", {"axis": 1}, [normal(4, 6), labels(6, 4, 3)], lambda x, i: x.gather(1, i)),
    ("scatterAdd", {"axis": 0}, [normal(5, 3), labels(5, 9), normal(9, 3)], lambda x, i, u: x.index_add(0, i, u)),
    ("scatterAdd", {"axis": 1}, [normal(2, 4, 3), labels(4, 6), normal(2, 6, 3)], lambda x, i, u: x.index_add(1, i, u)),
    ("sort", {"options": {"axis": 1}}, [distinct(3, 11)], lambda x: x.sort(1)[0]),
    ("sort", {"options": {"axis": 0, "descending": True}}, [distinct(11, 2)], lambda x: x.sort(0, descending=True)[0]),
    ("topK", {"k": 3, "options": {}}, [distinct(4, 9)], lambda x: x.topk(3)[0]),
    ("topK", {"k": 2, "options": {"largest": False, "axis": 0}}, [distinct(9, 2)], lambda x: x.topk(2, 0, largest=False)[0]),
    *[
        ("norm", {"axes": axes, "options": {"p": "Infinity" if p == INF else p}}, [distinct(4, 6)], lambda x, p=p, axes=axes: torch.linalg.vector_norm(x, p, axes))
        for p, axes in [(1, [1]), (2, [1]), (2, [0, 1]), (INF, [0])]
    ],
    ("norm", {"axes": [1], "options": {}}, [torch.tensor([[0.0, 0, 0], [3, 4, 0]])], lambda x: torch.linalg.vector_norm(x, 2, 1)),
    ("max", {"axes": [1]}, [torch.tensor([[1.0, 3, 3], [2, 0, 1]])], lambda x: x.amax(1)),
]


def evaluate(f, inputs, upstream, dtype):
    tensors = [x.detach().to(dtype, copy=True).requires_grad_() if x.is_floating_point() else x for x in inputs]
    y = f(*tensors)
    y.backward(upstream.to(dtype))
    # A norm of p 0 counts: PyTorch leaves its gradient out where it is 0.
    return [y.detach(), *[torch.zeros_like(x) if x.grad is None else x.grad for x in tensors if x.is_floating_point()]]


def error(exact, rounded):
    if exact.numel() == 0:
        return 0
    return (exact - rounded.double()).abs().max().item() / max(exact.abs().max().item(), 1e-30)


def short(x):
    return [float(f"{value:.9g}") for value in x.double().flatten().tolist()]


def record(script, rows):
    cases = []
    for name, options, inputs, f in rows:
        upstream = normal(*f(*inputs).shape)
        exact = evaluate(f, inputs, upstream, torch.float64)
        single = evaluate(f, inputs, upstream, torch.float32)
        cases.append(
            {
                "operation": name,
                "with": options,
                "inputs": [
                    {"shape": list(x.shape), "values": short(x) if x.is_floating_point() else x.flatten().tolist()}
                    | ({} if x.is_floating_point() else {"labels": True})
                    for x in inputs
                ],
                "upstream": short(upstream),
                "shape": list(exact[0].shape),
                "output": short(exact[0]),
                "gradients": [short(x) for x in exact[1:]],
                "float32Errors": [float(f"{error(a, b):.3g}") for a, b in zip(exact, single)],
            }
        )
    return {"source": f"PyTorch {torch.__version__}, float64, by test/golden/{script}", "cases": cases}


def write(script, rows):
    recorded = record(script.name, rows)
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in recorded["cases"])
    script.with_suffix(".json").write_text(f'{{"source": {json.dumps(recorded["source"])}, "cases": [\n{lines}\n]}}\n')


if __name__ == "__main__":
    write(pathlib.Path(__file__), CASES)
