# Records the rates of PyTorch's schedulers: python3 test/golden/schedules.py > test/golden/schedules.json
import json
import random
import sys
import warnings

import torch
from torch.optim import lr_scheduler as s

warnings.simplefilter("ignore")


def optimizer(rate):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=rate)


def rates(rate, make, steps):
    opt = optimizer(rate)
    scheduler = make(opt)
    found = []
    for _ in range(steps):
        found.append(opt.param_groups[0]["lr"])
        opt.step()
        scheduler.step()
    return found


cases = []


def add(kind, rate, options, make, steps=40):
    cases.append({"kind": kind, "rate": rate, "options": options, "result": rates(rate, make, steps)})


for every, factor in [(10, 0.1), (7, 0.5), (1, 0.97)]:
    add("stepDecay", 0.3, {"every": every, "factor": factor}, lambda o: s.StepLR(o, every, factor))
for milestones, factor in [([5, 20, 21], 0.1), ([1], 0.5)]:
    add("multiStepDecay", 0.3, {"milestones": milestones, "factor": factor}, lambda o: s.MultiStepLR(o, milestones, factor))
for factor in (0.9, 1.0, 0.5):
    add("exponentialDecay", 0.02, {"factor": factor}, lambda o: s.ExponentialLR(o, factor))
for steps, power in [(30, 1.0), (30, 2.0), (20, 0.5), (60, 3.3)]:
    add("polynomialDecay", 0.1, {"steps": steps, "power": power}, lambda o: s.PolynomialLR(o, steps, power))
add("polynomialDecay", 0.1, {"steps": 12, "end": 0.03}, lambda o: s.LinearLR(o, 1.0, 0.3, 12))
add("polynomialDecay", 0.1, {"steps": 12, "end": 0.1 * 0.999}, lambda o: s.LinearLR(o, 1.0, 0.999, 12))
# Beyond its end PyTorch's cosine goes up again.
for steps, end in [(39, 0.0), (60, 0.01)]:
    add("cosineDecay", 0.1, {"steps": steps, "end": end}, lambda o: s.CosineAnnealingLR(o, steps, end))
for steps, factor, end in [(10, 1, 0.0), (5, 2, 0.001), (3, 3, 0.0), (7, 1, 0.02)]:
    add("cosineRestarts", 0.1, {"steps": steps, "factor": factor, "end": end},
        lambda o: s.CosineAnnealingWarmRestarts(o, steps, factor, end))
for steps, start in [(5, 0.1), (20, 0.5), (2, 0.25)]:
    add("warmup", 0.1, {"steps": steps, "start": start}, lambda o: s.LinearLR(o, start, 1.0, steps - 1))
for options in [{}, {"rise": 0.5, "shape": "linear"}, {"startDivisor": 10, "endDivisor": 100},
                {"threePhases": True, "rise": 0.4}, {"threePhases": True, "rise": 0.25, "shape": "linear"}]:
    kw = {}
    for name, value in options.items():
        kw[{"rise": "pct_start", "shape": "anneal_strategy", "startDivisor": "div_factor", "endDivisor": "final_div_factor",
            "threePhases": "three_phase"}[name]] = {"linear": "linear", "cosine": "cos"}.get(value, value)
    # 39 steps of the scheduler: its rates are of 40 steps.
    opt = optimizer(0.5)
    scheduler = s.OneCycleLR(opt, 0.5, total_steps=40, cycle_momentum=False, **kw)
    found = [opt.param_groups[0]["lr"]]
    for _ in range(39):
        opt.step()
        scheduler.step()
        found.append(opt.param_groups[0]["lr"])
    cases.append({"kind": "oneCycle", "rate": 0.5, "options": {"steps": 40, **options}, "result": found})
plateaus = []
random.seed(4)
values = [3 - 0.2 * i for i in range(8)] + [1.5 + 0.1 * random.random() for _ in range(30)] + [-1 - 0.05 * i for i in range(4)] + [
    -1 + 0.01 * (i % 3) for i in range(25)
]
for options in [{}, {"patience": 2, "factor": 0.5}, {"patience": 0, "cooldown": 3}, {"patience": 3, "min": 0.002},
                {"patience": 2, "thresholdMode": "absolute", "threshold": 0.05}, {"patience": 4, "mode": "max"},
                {"patience": 1, "threshold": 0.2, "mode": "max", "thresholdMode": "absolute"}]:
    names = {"min": "min_lr", "thresholdMode": "threshold_mode"}
    kw = {names.get(k, k): {"relative": "rel", "absolute": "abs"}.get(v, v) for k, v in options.items()}
    opt = optimizer(0.1)
    scheduler = s.ReduceLROnPlateau(opt, eps=0, **kw)
    found = []
    for value in values:
        scheduler.step(value)
        found.append(opt.param_groups[0]["lr"])
    plateaus.append({"options": options, "rate": 0.1, "result": found})
json.dump({"torch": torch.__version__, "cases": cases, "values": values, "plateaus": plateaus}, sys.stdout)
