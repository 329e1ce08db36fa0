# Writes activations2.json beside it: outputs, gradients and second derivatives of activation layers, from PyTorch in
# float64 for inputs that are float32 numbers, and PyTorch's own float32 error on each, relative to the largest value.
# Run with Debian's python3-torch: /usr/bin/python3 activations2.py
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(5)

WIDE = [2, 3, 8]
IMAGE = [2, 2, 3, 4]


def prelu(x, slopes):
    # Channels are the last axis here, the second one there.
    if slopes.numel() == 1:
        return F.prelu(x, slopes)
    return F.prelu(x.movedim(-1, 1), slopes).movedim(1, -1)


def gated(f):
    def apply(x):
        a, b = x.chunk(2, -1)
        return a * f(b)

    return apply


# layer, options, shape with the batch, f, initial weight (for layers that have one)
LAYERS = [
    ("relu", {}, WIDE, torch.relu),
    ("leakyRelu", {}, WIDE, F.leaky_relu),
    ("leakyRelu", {"negativeSlope": 0.3}, WIDE, lambda x: F.leaky_relu(x, 0.3)),
    ("elu", {}, WIDE, F.elu),
    ("elu", {"alpha": 0.5}, WIDE, lambda x: F.elu(x, 0.5)),
    ("sigmoid", {}, WIDE, torch.sigmoid),
    ("tanh", {}, WIDE, torch.tanh),
    ("softplus", {}, WIDE, lambda x: F.softplus(x, threshold=1000)),
    ("silu", {}, WIDE, F.silu),
    ("gelu", {}, WIDE, F.gelu),
    ("gelu", {"approximate": "tanh"}, WIDE, lambda x: F.gelu(x, approximate="tanh")),
    ("selu", {}, WIDE, F.selu),
    ("selu", {}, [5, 1], F.selu),
    ("celu", {}, WIDE, F.celu),
    ("celu", {"alpha": 0.5}, WIDE, lambda x: F.celu(x, 0.5)),
    ("celu", {"alpha": 2}, IMAGE, lambda x: F.celu(x, 2.0)),
    ("hardSigmoid", {}, WIDE, F.hardsigmoid),
    ("hardSigmoid", {}, IMAGE, F.hardsigmoid),
    ("hardSwish", {}, WIDE, F.hardswish),
    ("hardSwish", {}, IMAGE, F.hardswish),
    ("mish", {}, WIDE, F.mish),
    ("mish", {}, [5, 1], F.mish),
    ("logSigmoid", {}, WIDE, F.logsigmoid),
    ("hardTanh", {}, WIDE, F.hardtanh),
    ("hardTanh", {"min": -0.5, "max": 2}, WIDE, lambda x: F.hardtanh(x, -0.5, 2.0)),
    ("relu6", {}, WIDE, F.relu6),
    ("threshold", {"threshold": 0.5}, WIDE, lambda x: F.threshold(x, 0.5, 0)),
    ("threshold", {"threshold": -1, "value": 3}, WIDE, lambda x: F.threshold(x, -1.0, 3.0)),
    ("softsign", {}, WIDE, F.softsign),
    ("tanhShrink", {}, WIDE, F.tanhshrink),
    ("softShrink", {}, WIDE, F.softshrink),
    ("softShrink", {"lambda": 1.25}, WIDE, lambda x: F.softshrink(x, 1.25)),
    ("hardShrink", {}, WIDE, F.hardshrink),
    ("hardShrink", {"lambda": 1.25}, WIDE, lambda x: F.hardshrink(x, 1.25)),
    ("prelu", {}, WIDE, prelu, [0.25]),
    ("prelu", {}, IMAGE, prelu, [0.25]),
    ("prelu", {"perChannel": True}, WIDE, prelu, [0.25] * 8),
    ("prelu", {"perChannel": True}, IMAGE, prelu, [0.25] * 4),
    ("prelu", {"perChannel": True}, [3, 5], prelu, [0.25] * 5),
    ("glu", {}, WIDE, lambda x: F.glu(x, -1)),
    ("glu", {}, [3, 10], lambda x: F.glu(x, -1)),
    ("swiglu", {}, WIDE, gated(F.silu)),
    ("swiglu", {}, [3, 10], gated(F.silu)),
    ("geglu", {}, WIDE, gated(F.gelu)),
    ("geglu", {"approximate": "tanh"}, WIDE, gated(lambda b: F.gelu(b, approximate="tanh"))),
    ("reglu", {}, WIDE, gated(torch.relu)),
    ("softmax", {}, WIDE, lambda x: F.softmax(x, -1)),
    ("softmax", {"axis": 1}, WIDE, lambda x: F.softmax(x, 1)),
    ("softmax", {"axis": 2}, IMAGE, lambda x: F.softmax(x, 2)),
    ("softmax", {"axis": -3}, IMAGE, lambda x: F.softmax(x, -3)),
    ("logSoftmax", {}, WIDE, lambda x: F.log_softmax(x, -1)),
    ("logSoftmax", {"axis": 1}, WIDE, lambda x: F.log_softmax(x, 1)),
    ("logSoftmax", {"axis": 1}, IMAGE, lambda x: F.log_softmax(x, 1)),
]


def run(f, inputs, upstream, second_upstream):
    """Output, gradients of Σ output·upstream by each input, and that of Σ (input's gradient)·second_upstream."""
    leaves = [values.clone().requires_grad_() for values in inputs]
    y = f(*leaves)
    gradients = torch.autograd.grad((y * upstream).sum(), leaves, create_graph=True)
    lines = {"output": y, "gradient": gradients[0]}
    if len(leaves) > 1:
        lines["weightGradient"] = gradients[1]
    try:
        total = (gradients[0] * second_upstream).sum() + 0 * leaves[0].sum()
        lines["second"] = torch.autograd.grad(total, leaves[0])[0]
    except RuntimeError as error:
        if "is not implemented" not in str(error):
            raise
    return {name: line.detach() for name, line in lines.items()}


def flat(tensor, digits=10):
    """Digits enough to tell what is asked: nine for a float32 number itself."""
    return [float(f"{value:.{digits}g}") for value in tensor.double().flatten().tolist()]


def record():
    cases = []
    for layer, options, shape, f, *weight in LAYERS:
        x = 2 * torch.randn(shape)
        weights = [torch.tensor(values) for values in weight]
        upstream = torch.randn(f(x, *weights).shape)
        second_upstream = torch.randn(shape)
        single = run(f, [x, *weights], upstream, second_upstream)
        arguments = [[values.double() for values in [x, *weights]], upstream.double(), second_upstream.double()]
        double = run(f, *arguments)
        case = {"layer": layer, "options": options, "shape": shape, "input": flat(x, 9)}
        case |= {"upstream": flat(upstream, 9), "secondUpstream": flat(second_upstream, 9)}
        lines = {}
        for name, exact in double.items():
            scale = exact.abs().max().item()
            error = (single[name].double() - exact).abs().max().item() / scale if scale > 0 else 0
            lines[name] = {"values": flat(exact), "error": float(f"{error:.3g}")}
        cases.append(case | {"lines": lines})
    return {"source": f"PyTorch {torch.__version__}, float64, by test/golden/activations2.py", "cases": cases}


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_name("activations2.json")
    path.write_text(json.dumps(record()).replace('{"layer"', '\n{"layer"') + "\n")
