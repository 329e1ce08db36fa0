"""Records test/golden/lbfgs.json: every point at which torch.optim.LBFGS looks at functions that lead its line search astray.

Run with `/usr/bin/python3 test/golden/lbfgs.py` (PyTorch 1.13, float64). test/train/minimize.test.ts has the same functions.
"""

import json
import pathlib

import torch

FUNCTIONS = {
    # Valleys next to one another.
    "waves": lambda x: (0.1 * x**2 + torch.sin(3 * x)).sum() + (x[1:] * x[:-1]).cos().sum() / 2,
    # Curved, with flat parts (Beale).
    "beale": lambda x: sum((c - x[0] + x[0] * x[1] ** (k + 1)) ** 2 for k, c in enumerate([1.5, 2.25, 2.625])),
    # A line far away from the minimum, so that lengths grow.
    "far": lambda x: torch.sqrt(1 + (x - torch.arange(1, len(x) + 1)) ** 2).sum(),
    # Steep on one side.
    "steep": lambda x: (torch.exp(x) - 2 * x).sum(),
    # Falls for ever, ever more steeply: no length is the right one.
    "falls": lambda x: -((1 + x**2) ** 0.75).sum(),
    # Falls slowly to a wall.
    "wall": lambda x: (x + torch.exp(-8 * x)).sum(),
    # Falls for ever more steeply, to a point.
    "roots": lambda x: (x - 0.3).abs().sqrt().sum(),
    # Kinks, at which no slope is flat.
    "kinks": lambda x: (x - 0.3).abs().sum() + 0.01 * (x**2).sum(),
}
CASES = [
    ("waves", [2.0, -1.5, 0.7, 3.1], 1.0, 3),
    ("waves", [-4.0, 5.5, 1.0, 0.2], 10.0, 2),
    ("waves", [6.0, -6.5, 8.0, 0.2], 0.3, 10),
    ("beale", [4.0, -3.0], 1.0, 5),
    ("beale", [-2.0, 2.0], 5.0, 5),
    ("far", [40.0, -20.0, 60.0], 1e-3, 4),
    ("far", [400.0, -20.0, 60.0], 100.0, 4),
    ("steep", [10.0, -5.0], 1.0, 5),
    ("steep", [-30.0, -5.0], 1.0, 5),
    ("far", [0.5], 1e3, 4),
    ("steep", [-65.4], 10.0, 4),
    ("wall", [18.4], 5.0, 4),
    ("roots", [36.6, -80.6, -8.7], 1e3, 4),
    ("falls", [0.1, -0.2], 1.0, 5),
    ("kinks", [3.0, -2.0, 0.5], 1.0, 5),
    ("kinks", [1.0, 1.1, 1.7], 7.0, 5),
]


def points(name, start, rate, history):
    # What falls for ever is looked at along one line: where the second is, rounding decides.
    iterations = {"falls": 1, "wall": 4, "roots": 4}.get(name, 12)
    x = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS([x], lr=rate, max_eval=1000, max_iter=iterations, history_size=history, line_search_fn="strong_wolfe")
    found = []

    def closure():
        optimizer.zero_grad()
        value = FUNCTIONS[name](x)
        value.backward()
        found.append([float(f"{one:.10g}") for one in x.tolist()])
        return value

    optimizer.step(closure)
    print(f"{name} {rate}: {len(found)} points, ends at {x.tolist()}, iterations {optimizer.state[x]['n_iter']}")
    end = x.tolist()
    told = {"name": name, "start": start, "learningRate": rate}
    return {**told, "historySize": history, "iterations": iterations, "end": end, "points": found}


golden = {"torch": torch.__version__, "cases": [points(*case) for case in CASES]}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden))
