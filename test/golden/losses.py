# Writes losses.json beside it: values and gradients of every loss, from PyTorch in float64, for inputs that
# are float32 numbers. Run with Debian's python3-torch, then format the result:
# /usr/bin/python3 losses.py; npx biome format --write losses.json
import json
import pathlib

import torch
import torch.nn.functional as F

PREDICTIONS = [-3.5, -1.25, -0.7, -0.1, 0.0, 0.2, 0.45, 0.9, 1.0, 1.75, 2.6, 8.0]
TARGETS = [-3.0, 0.5, -0.7, 1.9, 0.0, -0.3, 0.4, 3.9, 1.0, 1.5, 0.6, -2.0]
SIGNS = [-1.0, 1.0, -1.0, -1.0, 1.0, 1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0]
PROBABILITIES = [0.0, 1e-6, 0.02, 0.1, 0.3, 0.5, 0.5, 0.66, 0.9, 0.97, 0.999999, 1.0]
SOFT_TARGETS = [0.0, 0.0, 1.0, 0.25, 1.0, 0.5, 0.0, 1.0, 0.75, 1.0, 0.0, 1.0]
LOGITS = [-100.0, -20.0, -3.5, -1.25, -0.1, 0.0, 0.0, 0.45, 1.75, 8.0, 20.0, 100.0]
CLASSES = [-2.0, 0.5, 1.25, 0.0, 3.0, -1.0, 0.7, 0.7, -10000.0, 10000.0, 9999.0, 0.0]
DISTRIBUTIONS = [0.1, 0.2, 0.3, 0.4, 0.0, 1.0, 0.0, 0.0, 0.0, 0.5, 0.25, 0.25]
LABELS = [2, 1, 1]
# Two samples of four positions, three classes.
LOGITS_BY_POSITION = [
    *[0.3, -1.2, 2.5, 0.0, 0.1, -0.1, 4.0, 3.5, -2.0, 1.0, 1.0, 1.0],
    *[-0.7, 0.7, 0.2, 9.0, -9.0, 0.5, 0.05, 0.15, 0.25, -3.0, 2.0, 1.5],
]
POSITIONS = [2, 0, 1, 2, 1, 2, 0, 2]
NEGATIVE = [2, 0, 1, -100, 1, 2, -100, -100]


def rounded(values):
    return torch.tensor(values, dtype=torch.float32).double()


def step(z):
    return (z >= 0).double()


def reduced(values, reduction):
    return values.mean() if reduction == "mean" else values.sum()


# name, options, predictions, targets, f(prediction, target, reduction), whether the target gets a gradient
ELEMENTWISE = [
    ("meanSquaredError", {}, PREDICTIONS, TARGETS, lambda x, t, r: F.mse_loss(x, t, reduction=r), True),
    ("halfSquaredError", {}, PREDICTIONS, TARGETS, lambda x, t, r: F.mse_loss(x, t, reduction=r) / 2, True),
    ("meanAbsoluteError", {}, PREDICTIONS, TARGETS, lambda x, t, r: F.l1_loss(x, t, reduction=r), True),
    ("huber", {}, PREDICTIONS, TARGETS, lambda x, t, r: F.huber_loss(x, t, reduction=r), True),
    ("huber", {"delta": 2.5}, PREDICTIONS, TARGETS, lambda x, t, r: F.huber_loss(x, t, reduction=r, delta=2.5), True),
    ("hinge", {}, PREDICTIONS, SIGNS, lambda x, t, r: reduced(torch.relu(1 - t * x), r), False),
    (
        "perceptronLoss",
        {},
        PREDICTIONS,
        [(1 + s) / 2 for s in SIGNS],
        lambda x, t, r: reduced((step(x) - t).detach() * x, r),
        False,
    ),
    (
        "binaryCrossEntropy",
        {},
        PROBABILITIES,
        SOFT_TARGETS,
        lambda x, t, r: F.binary_cross_entropy(x, t, reduction=r),
        False,
    ),
    (
        "binaryCrossEntropyWithLogits",
        {},
        LOGITS,
        SOFT_TARGETS,
        lambda x, t, r: F.binary_cross_entropy_with_logits(x, t, reduction=r),
        False,
    ),
    (
        "softmaxCrossEntropyWithDistributions",
        {},
        CLASSES,
        DISTRIBUTIONS,
        lambda x, t, r: F.cross_entropy(x.reshape(3, 4), t.reshape(3, 4), reduction=r),
        True,
    ),
]


def record():
    cases = []
    for name, options, predictions, targets, loss, both in ELEMENTWISE:
        for reduction in ("mean", "sum"):
            x = rounded(predictions).requires_grad_()
            t = rounded(targets).requires_grad_(both)
            value = loss(x, t, reduction)
            value.backward()
            case = {"loss": name, "options": {**options, "reduction": reduction}}
            case |= {"shape": [3, 4], "prediction": x.tolist(), "target": t.tolist()}
            case |= {"value": value.item(), "gradient": x.grad.tolist()}
            cases.append(case | ({"targetGradient": t.grad.tolist()} if both else {}))
    for reduction in ("mean", "sum"):
        x = rounded(CLASSES).reshape(3, 4).requires_grad_()
        value = F.cross_entropy(x, torch.tensor(LABELS), reduction=reduction)
        value.backward()
        case = {"loss": "softmaxCrossEntropy", "options": {"reduction": reduction}, "shape": [3, 4]}
        case |= {"prediction": x.flatten().tolist(), "labels": LABELS}
        cases.append(case | {"value": value.item(), "gradient": x.grad.flatten().tolist()})
    for targets, ignored in ((POSITIONS, None), (POSITIONS, 2), (NEGATIVE, -100)):
        for reduction in ("mean", "sum"):
            x = rounded(LOGITS_BY_POSITION).reshape(2, 4, 3).requires_grad_()
            options = {} if ignored is None else {"ignore_index": ignored}
            # PyTorch has the classes in the second axis.
            value = F.cross_entropy(x.permute(0, 2, 1), torch.tensor(targets).reshape(2, 4), reduction=reduction, **options)
            value.backward()
            case = {"loss": "softmaxCrossEntropy", "shape": [2, 4, 3], "options": {"reduction": reduction}}
            case["options"] |= {} if ignored is None else {"ignoreIndex": ignored}
            case |= {"prediction": x.flatten().tolist(), "labels": targets}
            cases.append(case | {"value": value.item(), "gradient": x.grad.flatten().tolist()})
    for reduction in ("mean", "sum"):
        x = rounded(CLASSES).reshape(1, 3, 4).requires_grad_()
        t = rounded(DISTRIBUTIONS).reshape(1, 3, 4).requires_grad_()
        # Each position counts once.
        value = F.cross_entropy(x.reshape(3, 4), t.reshape(3, 4), reduction=reduction)
        value.backward()
        case = {"loss": "softmaxCrossEntropyWithDistributions", "options": {"reduction": reduction}, "shape": [1, 3, 4]}
        case |= {"prediction": x.flatten().tolist(), "target": t.flatten().tolist(), "value": value.item()}
        cases.append(case | {"gradient": x.grad.flatten().tolist(), "targetGradient": t.grad.flatten().tolist()})
    return {"source": f"PyTorch {torch.__version__}, float64, by test/golden/losses.py", "cases": cases}


def write(name, data):
    pathlib.Path(__file__).with_name(name).write_text(json.dumps(data))


if __name__ == "__main__":
    write("losses.json", record())
