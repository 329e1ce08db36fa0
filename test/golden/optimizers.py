"""Records test/golden/optimizers.json: trajectories of torch.optim on a fixed problem, 100 steps.

Run with `/usr/bin/python3 test/golden/optimizers.py` (PyTorch 1.13). The problem is Rosenbrock's function in
chained form, 20 parameters: sum of 10 (p[i+1] - p[i]^2)^2 + (1 - p[i])^2, from p[i] = -0.5, 0.6, 1.2, -0.5, ... The first six
parameters are kept, with 10 digits. `float32Error` is that of all 20, at all steps that are kept.
"""

import importlib
import inspect
import json
import pathlib

import torch
from torch import optim

# PyTorch before 2.0 multiplies the product of the momenta by the current one twice; the paper and later versions do not.
nadam = importlib.import_module("torch.optim.nadam")
source = inspect.getsource(nadam._single_tensor_nadam)
assert "mu_product * mu * mu_next" in source
exec(source.replace("mu_product * mu * mu_next", "mu_product * mu_next"), vars(nadam))

STEPS = 100
KEPT = [1, 2, 10, 100]
START = [(-0.5, 0.6, 1.2)[i % 3] for i in range(20)]


def no_clip(p):
    pass


def by_norm(p):
    torch.nn.utils.clip_grad_norm_(p, 2.0)


def by_value(p):
    torch.nn.utils.clip_grad_value_(p, 1.5)


CASES = {
    "sgd": (lambda p: optim.SGD(p, lr=2e-3), no_clip),
    "sgd decay": (lambda p: optim.SGD(p, lr=2e-3, weight_decay=0.3), no_clip),
    "momentum": (lambda p: optim.SGD(p, lr=1e-3, momentum=0.9), no_clip),
    "momentum decay": (lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, weight_decay=0.3), no_clip),
    "momentum dampening": (lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, dampening=0.4, weight_decay=0.1), no_clip),
    "momentum clipped by norm": (lambda p: optim.SGD(p, lr=3e-3, momentum=0.9), by_norm),
    "momentum clipped by value": (lambda p: optim.SGD(p, lr=3e-3, momentum=0.9), by_value),
    "nesterov": (lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True), no_clip),
    "nesterov decay": (lambda p: optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True, weight_decay=0.3), no_clip),
    "adam": (lambda p: optim.Adam(p, lr=1e-2), no_clip),
    "adam decay": (lambda p: optim.Adam(p, lr=1e-2, weight_decay=0.3), no_clip),
    "adam amsgrad": (lambda p: optim.Adam(p, lr=1e-2, amsgrad=True), no_clip),
    "adam amsgrad decay": (lambda p: optim.Adam(p, lr=1e-2, betas=(0.8, 0.9), amsgrad=True, weight_decay=0.3), no_clip),
    "adam clipped by norm": (lambda p: optim.Adam(p, lr=1e-2), by_norm),
    "adamW": (lambda p: optim.AdamW(p, lr=1e-2), no_clip),
    "adamW decay": (lambda p: optim.AdamW(p, lr=1e-2, weight_decay=0.5), no_clip),
    "adamW amsgrad": (lambda p: optim.AdamW(p, lr=1e-2, weight_decay=0.5, amsgrad=True), no_clip),
    "nadam": (lambda p: optim.NAdam(p, lr=1e-2), no_clip),
    "nadam decay": (lambda p: optim.NAdam(p, lr=1e-2, weight_decay=0.3, momentum_decay=0.1), no_clip),
    "radam": (lambda p: optim.RAdam(p, lr=1e-2), no_clip),
    "radam decay": (lambda p: optim.RAdam(p, lr=1e-2, betas=(0.8, 0.9), weight_decay=0.3), no_clip),
    "adamax": (lambda p: optim.Adamax(p, lr=1e-2), no_clip),
    "adamax decay": (lambda p: optim.Adamax(p, lr=1e-2, betas=(0.8, 0.9), weight_decay=0.3), no_clip),
    "adagrad": (lambda p: optim.Adagrad(p, lr=5e-2), no_clip),
    "adagrad decay": (
        lambda p: optim.Adagrad(p, lr=5e-2, lr_decay=0.1, weight_decay=0.3, initial_accumulator_value=0.5),
        no_clip,
    ),
    "adadelta": (lambda p: optim.Adadelta(p), no_clip),
    "adadelta decay": (lambda p: optim.Adadelta(p, lr=0.5, rho=0.8, eps=1e-5, weight_decay=0.3), no_clip),
    "rmsprop": (lambda p: optim.RMSprop(p, lr=1e-3), no_clip),
    "rmsprop decay": (lambda p: optim.RMSprop(p, lr=1e-3, alpha=0.9, weight_decay=0.3), no_clip),
    "rmsprop momentum": (lambda p: optim.RMSprop(p, lr=1e-3, momentum=0.7), no_clip),
    "rmsprop centered": (lambda p: optim.RMSprop(p, lr=1e-3, centered=True, eps=1e-3), no_clip),
    "rmsprop centered momentum decay": (
        lambda p: optim.RMSprop(p, lr=1e-3, centered=True, momentum=0.7, eps=1e-3, weight_decay=0.3),
        no_clip,
    ),
    "rprop": (lambda p: optim.Rprop(p, lr=1e-2), no_clip),
    "rprop bounded": (lambda p: optim.Rprop(p, lr=1e-3, etas=(0.6, 1.3), step_sizes=(1e-4, 5e-3)), no_clip),
}


def loss(p):
    return (10 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2).sum()


def trajectory(create, clip, dtype):
    p = torch.tensor(START, dtype=dtype, requires_grad=True)
    optimizer = create([p])
    kept = []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss(p).backward()
        clip([p])
        optimizer.step()
        if step in KEPT:
            kept.append(p.tolist())
    return kept


def furthest(a, b):
    return max(abs(x - y) for row, other in zip(a, b) for x, y in zip(row, other))


golden = {"torch": torch.__version__, "start": START, "steps": KEPT, "trajectories": {}}
for name, (create, clip) in CASES.items():
    exact = trajectory(create, clip, torch.float64)
    single = trajectory(create, clip, torch.float32)
    error = furthest(exact, single)
    short = [[float(f"{x:.10g}") for x in row[:6]] for row in exact]
    golden["trajectories"][name] = {"float64": short, "float32Error": float(f"{error:.3g}")}
    print(f"{name}: float32 against float64: {error:.2g}, end: {short[-1][:4]}, loss {loss(torch.tensor(exact[-1])):.3g}")

# An iteration a step, which goes on where the one before ended.
p = torch.tensor(START, dtype=torch.float64, requires_grad=True)
lbfgs = optim.LBFGS([p], max_iter=1, history_size=5, line_search_fn="strong_wolfe")


def closure():
    lbfgs.zero_grad()
    value = loss(p)
    value.backward()
    return value


kept = []
for iteration in range(1, 41):
    lbfgs.step(closure)
    if iteration in (1, 2, 3, 5, 10, 20, 40):
        kept.append([iteration, loss(p).item(), *p.tolist()[:6]])
golden["lbfgs"] = [[float(f"{x:.12g}") for x in row] for row in kept]
print("lbfgs", golden["lbfgs"][-1])

pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden))
