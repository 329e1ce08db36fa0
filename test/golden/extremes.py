"""Records test/golden/extremes.json: values and slopes of elementwise operations and losses at zeros of either sign,
denormals, kinks, far out, at infinities and NaN, from PyTorch in float32: where a convention is a choice, this is it.

Run with `/usr/bin/python3 test/golden/extremes.py` (PyTorch 1.13).
"""

import itertools
import json
import math
import pathlib

import torch
import torch.nn.functional as F

INF, NAN = math.inf, math.nan
MAGNITUDES = [
    0, 1e-45, 1e-40, 1.17549435e-38, 1e-30, 1e-20, 1e-10, 1e-4, 0.25, 0.5, 1, 1.5, 2, 3, 6, 9, 12, 15, 17, 20, 30, 50,
    80, 88, 104, 1e4, 1e10, 1e20, 3e38, INF,
]
POINTS = [sign * x for x in MAGNITUDES for sign in (1.0, -1.0)] + [NAN]
FEW = [0.0, -0.0, 1e-45, -1e-38, 1e-30, -1e-20, 0.3, -1.0, 2.0, 3.0, -1e20, 1e30, 3e38, INF, -INF, NAN]
PREDICTIONS = [0.0, -0.0, 1e-45, 1e-30, -1e-20, 0.3, -0.7, 1.0, -1.0, 9.0, -17.0, 50.0, -104.0, 1e20, -3e38, INF, -INF, NAN]
PROBABILITIES = [0.0, 1e-45, 1e-38, 1e-30, 1e-20, 1e-12, 0.3, 0.5, 0.99999994, 1.0]
UPSTREAM = [1.0, 1e20, -1e-20]

UNARY = [
    ("identity", {}, lambda x: x * 1),
    ("relu", {}, torch.relu),
    ("leakyRelu", {}, F.leaky_relu),
    ("leakyRelu", {"negativeSlope": 0}, lambda x: F.leaky_relu(x, 0.0)),
    ("elu", {}, F.elu),
    ("elu", {"alpha": 0.5}, lambda x: F.elu(x, 0.5)),
    ("celu", {}, F.celu),
    ("celu", {"alpha": 2}, lambda x: F.celu(x, 2.0)),
    ("celu", {"alpha": 0.125}, lambda x: F.celu(x, 0.125)),
    ("selu", {}, F.selu),
    ("gelu", {}, F.gelu),
    ("gelu", {"approximate": "tanh"}, lambda x: F.gelu(x, approximate="tanh")),
    ("silu", {}, F.silu),
    ("mish", {}, F.mish),
    ("sigmoid", {}, torch.sigmoid),
    ("logSigmoid", {}, F.logsigmoid),
    ("tanh", {}, torch.tanh),
    ("softplus", {}, F.softplus),
    ("softsign", {}, F.softsign),
    ("hardSigmoid", {}, F.hardsigmoid),
    ("hardSwish", {}, F.hardswish),
    ("hardTanh", {}, F.hardtanh),
    ("hardTanh", {"min": 0, "max": 3}, lambda x: F.hardtanh(x, 0.0, 3.0)),
    ("relu6", {}, F.relu6),
    ("threshold", {"threshold": 0.5, "value": 7}, lambda x: F.threshold(x, 0.5, 7.0)),
    ("tanhShrink", {}, F.tanhshrink),
    ("softShrink", {}, F.softshrink),
    ("softShrink", {"lambda": 0}, lambda x: F.softshrink(x, 0.0)),
    ("hardShrink", {}, F.hardshrink),
    ("hardShrink", {"lambda": 0}, lambda x: F.hardshrink(x, 0.0)),
    ("abs", {}, torch.abs),
    ("neg", {}, torch.neg),
    ("square", {}, torch.square),
    ("sqrt", {}, torch.sqrt),
    ("exp", {}, torch.exp),
    ("log", {}, torch.log),
    ("sin", {}, torch.sin),
    ("cos", {}, torch.cos),
    ("reciprocal", {}, torch.reciprocal),
    ("rsqrt", {}, torch.rsqrt),
    ("sign", {}, torch.sign),
    ("floor", {}, torch.floor),
    ("ceil", {}, torch.ceil),
    ("trunc", {}, torch.trunc),
    ("round", {}, torch.round),
    ("expm1", {}, torch.expm1),
    ("log1p", {}, torch.log1p),
    ("sinh", {}, torch.sinh),
    ("cosh", {}, torch.cosh),
    ("asinh", {}, torch.asinh),
    ("acosh", {}, torch.acosh),
    ("atanh", {}, torch.atanh),
    ("tan", {}, torch.tan),
    ("asin", {}, torch.asin),
    ("acos", {}, torch.acos),
    ("atan", {}, torch.atan),
    ("erf", {}, torch.erf),
    ("erfc", {}, torch.erfc),
    ("logit", {}, torch.logit),
    ("logit", {"epsilon": 0.125}, lambda x: torch.logit(x, 0.125)),
    ("clip", {"min": -1, "max": 3}, lambda x: x.clamp(-1.0, 3.0)),
    *[
        ("pow", {"exponent": p}, lambda x, p=p: torch.pow(x, p))
        for p in (0, 1, 2, 3, 4, 0.5, -1, -2, 1.5, -0.5)
    ],
]

BINARY = [
    ("add", torch.add),
    ("sub", torch.sub),
    ("mul", torch.mul),
    ("div", torch.div),
    ("maximum", torch.maximum),
    ("minimum", torch.minimum),
    ("pow", torch.pow),
    ("atan2", torch.atan2),
    ("mod", torch.remainder),
    ("floorDiv", lambda a, b: torch.div(a, b, rounding_mode="floor")),
    ("xlogy", torch.xlogy),
]

LOSSES = [
    ("meanSquaredError", lambda x, t: F.mse_loss(x, t, reduction="sum")),
    ("halfSquaredError", lambda x, t: F.mse_loss(x, t, reduction="sum") / 2),
    ("meanAbsoluteError", lambda x, t: F.l1_loss(x, t, reduction="sum")),
    ("huber", lambda x, t: F.huber_loss(x, t, reduction="sum", delta=1.0)),
    ("hinge", lambda x, t: (1 - t * x).clamp(min=0).sum()),
    ("binaryCrossEntropyWithLogits", lambda x, t: F.binary_cross_entropy_with_logits(x, t, reduction="sum")),
]
TARGETS = {"hinge": [1.0, -1.0], "binaryCrossEntropyWithLogits": [0.0, 0.3, 1.0]}

ROWS = [
    [0.0, 0.0, 0.0], [1e-22, 2e-22, 4e-22], [1e20, 1, 1], [3e38, -3e38, 1], [3e38, 3e38, 1e38], [1e-40, -2e-40, 0],
    [104, 0, -104], [17, 0, 0], [-INF, 1, 2], [-INF, -INF, 0], [-INF, -INF, -INF], [INF, 1, 2], [NAN, 1, 2],
]
ROW_LOSSES = [
    ("softmaxCrossEntropy", [0, 1, 2], F.cross_entropy),
    (
        "softmaxCrossEntropyWithDistributions",
        [[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.2, 0.3, 0.5]],
        F.cross_entropy,
    ),
]


def number(value):
    if math.isnan(value) or math.isinf(value):
        return {INF: "Infinity", -INF: "-Infinity"}.get(value, "NaN")
    if value == 0 and math.copysign(1, value) < 0:
        return "-0"
    return float(f"{value:.9g}")


def numbers(tensor):
    return [number(value) for value in tensor.double().flatten().tolist()]


def slopes(f, inputs, upstream=1.0):
    """Value and gradients of f at inputs, which are float32."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    y = f(*leaves)
    y.backward(torch.full_like(y, upstream))
    return y.detach(), [x.grad if x.grad is not None else torch.zeros_like(x) for x in leaves]


def unary():
    x = torch.tensor(POINTS)
    for name, options, f in UNARY:
        y, (dx,) = slopes(f, [x])
        yield {"operation": name, "options": options, "y": numbers(y), "dx": numbers(dx)}


def binary():
    a, b = (torch.tensor(side) for side in zip(*itertools.product(FEW, FEW)))
    for name, f in BINARY:
        for upstream in UPSTREAM:
            y, (da, db) = slopes(f, [a, b], upstream)
            yield {"operation": name, "upstream": upstream, "y": numbers(y), "da": numbers(da), "db": numbers(db)}


def losses():
    def each(name, f, xs, ts):
        pairs = list(itertools.product(xs, ts))
        found = [slopes(lambda x, t=t: f(x, torch.tensor([t])), [torch.tensor([x])]) for x, t in pairs]
        return {
            "loss": name,
            "x": [number(x) for x, _ in pairs],
            "t": [number(t) for _, t in pairs],
            "y": [number(y.item()) for y, _ in found],
            "dx": [number(dx.item()) for _, (dx,) in found],
        }

    for name, f in LOSSES:
        yield each(name, f, PREDICTIONS, TARGETS.get(name, PREDICTIONS))
    probabilities = lambda x, t: F.binary_cross_entropy(x, t, reduction="sum")
    yield each("binaryCrossEntropy", probabilities, PROBABILITIES, [0.0, 0.3, 1.0])


def row_losses():
    for name, targets, f in ROW_LOSSES:
        for row, target in itertools.product(ROWS, targets):
            y, (dx,) = slopes(lambda x: f(x, torch.tensor([target])), [torch.tensor([row], dtype=torch.float32)])
            yield {"loss": name, "x": numbers(torch.tensor(row, dtype=torch.float32)), "t": target, "y": number(y.item()), "dx": numbers(dx)}


def record():
    return {
        "points": numbers(torch.tensor(POINTS)),
        "few": numbers(torch.tensor(FEW)),
        "unary": list(unary()),
        "binary": list(binary()),
        "losses": list(losses()),
        "rowLosses": list(row_losses()),
    }


if __name__ == "__main__":
    path = pathlib.Path(__file__).with_suffix(".json")
    recorded = record()
    source = f"PyTorch {torch.__version__}, float32, by test/golden/extremes.py"
    parts = [f'"source": {json.dumps(source)}']
    for name, value in recorded.items():
        if isinstance(value[0], dict):
            lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in value)
            parts.append(f'"{name}": [\n{lines}\n]')
        else:
            parts.append(f'"{name}": {json.dumps(value, separators=(",", ":"))}')
    path.write_text("{" + ",\n".join(parts) + "}\n")
