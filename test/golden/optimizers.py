"""Records test/golden/optimizers.json: trajectories of torch.optim on a fixed problem, 100 steps.

Run with `/usr/bin/python3 test/golden/optimizers.py` (PyTorch 1.13), then `npx biome format --write test/golden`. The problem is Rosenbrock's function in
chained form, 20 parameters: sum of 10 (p[i+1] - p[i]^2)^2 + (1 - p[i])^2, from p[i] = -0.5, 0.6, 1.2, -0.5, ...
"""

import json
import pathlib

import torch

STEPS = 100
KEPT = [1, 2, 3, 5, 10, 20, 50, 100]
START = [(-0.5, 0.6, 1.2)[i % 3] for i in range(20)]
CASES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=2e-3),
    "momentum": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9),
    "nesterov": lambda p: torch.optim.SGD(p, lr=1e-3, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=1e-2),
}


def loss(p):
    return (10 * (p[1:] - p[:-1] ** 2) ** 2 + (1 - p[:-1]) ** 2).sum()


def trajectory(create, dtype):
    p = torch.tensor(START, dtype=dtype, requires_grad=True)
    optimizer = create([p])
    kept = []
    for step in range(1, STEPS + 1):
        optimizer.zero_grad()
        loss(p).backward()
        optimizer.step()
        if step in KEPT:
            kept.append(p.tolist())
    return kept


def furthest(a, b):
    return max(abs(x - y) for row, other in zip(a, b) for x, y in zip(row, other))


golden = {"torch": torch.__version__, "start": START, "steps": KEPT, "trajectories": {}}
for name, create in CASES.items():
    exact = trajectory(create, torch.float64)
    single = trajectory(create, torch.float32)
    golden["trajectories"][name] = {"float64": exact, "float32Error": furthest(exact, single)}
    print(name, "float32 against float64:", furthest(exact, single), "end:", exact[-1][:4])

pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden))
