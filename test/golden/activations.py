# Writes activations.json beside it: outputs and gradients of every activation, from PyTorch in float64, for inputs
# that are float32 numbers. Run with Debian's python3-torch, then format the result:
# /usr/bin/python3 activations.py; npx biome format --write activations.json
import torch
import torch.nn.functional as F

from losses import rounded, step, write

INPUTS = [-25.0, -12.0, -3.5, -1.0, -0.25, -1e-3, 0.0, 1e-3, 0.5, 1.0, 6.0, 25.0]
UPSTREAM = [1.0, -2.0, 0.5, 1.5, -1.0, 3.0, 1.0, -0.75, 2.0, 1.0, -1.0, 0.25]

ACTIVATIONS = [
    ("step", {}, lambda x: step(x) + 0 * x),
    ("identity", {}, lambda x: x * 1),
    ("sigmoid", {}, torch.sigmoid),
    ("tanh", {}, torch.tanh),
    ("relu", {}, torch.relu),
    ("leakyRelu", {}, F.leaky_relu),
    ("leakyRelu", {"negativeSlope": 0.25}, lambda x: F.leaky_relu(x, 0.25)),
    ("elu", {}, F.elu),
    ("elu", {"alpha": 1.75}, lambda x: F.elu(x, 1.75)),
    ("softplus", {}, lambda x: F.softplus(x, threshold=1000)),
    ("silu", {}, F.silu),
    ("gelu", {}, F.gelu),
    ("gelu", {"approximate": "tanh"}, lambda x: F.gelu(x, approximate="tanh")),
    ("softmax", {}, lambda x: F.softmax(x, dim=-1)),
    ("logSoftmax", {}, lambda x: F.log_softmax(x, dim=-1)),
]


def record():
    cases = []
    for name, options, f in ACTIVATIONS:
        x = rounded(INPUTS).reshape(3, 4).requires_grad_()
        y = f(x)
        y.backward(rounded(UPSTREAM).reshape(3, 4))
        case = {"activation": name, "options": options, "shape": [3, 4]}
        case |= {"input": x.flatten().tolist(), "upstream": UPSTREAM}
        cases.append(case | {"output": y.flatten().tolist(), "gradient": x.grad.flatten().tolist()})
    return {"source": f"PyTorch {torch.__version__}, float64, by test/golden/activations.py", "cases": cases}


if __name__ == "__main__":
    write("activations.json", record())
