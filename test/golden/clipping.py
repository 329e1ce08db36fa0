"""Records test/golden/clipping.json: gradients after torch.nn.utils.clip_grad_norm_ and clip_grad_value_.

Run with `/usr/bin/python3 test/golden/clipping.py` (PyTorch 1.13), then `npx biome format --write test/golden`.
"""

import json
import math
import pathlib

import torch

SHAPES = {"a.weight": [3, 5], "a.bias": [5], "b.weight": [5, 2], "b.bias": [2]}
CASES = {"all": 1.0, "none": 1000.0, "little": 0.001}


def gradients():
    values = iter(range(1, 1000))
    return {
        path: torch.tensor([math.sin(7 * next(values)) * 3 for _ in range(math.prod(shape))], dtype=torch.float64)
        for path, shape in SHAPES.items()
    }


def clipped(clip):
    parameters = {path: torch.nn.Parameter(torch.zeros_like(g)) for path, g in gradients().items()}
    for path, g in gradients().items():
        parameters[path].grad = g
    clip(list(parameters.values()))
    return {path: p.grad.tolist() for path, p in parameters.items()}


golden = {
    "torch": torch.__version__,
    "shapes": SHAPES,
    "gradients": {path: g.tolist() for path, g in gradients().items()},
    "norm": {name: {"max": most, "gradients": clipped(lambda p: torch.nn.utils.clip_grad_norm_(p, most))} for name, most in CASES.items()},
    "value": {"max": 0.5, "gradients": clipped(lambda p: torch.nn.utils.clip_grad_value_(p, 0.5))},
}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden))
