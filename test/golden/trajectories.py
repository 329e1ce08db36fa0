"""Records test/golden/trajectories.json: 100 steps of a small model under clipped, scheduled, grouped and averaged optimizers.

Run with `/usr/bin/python3 test/golden/trajectories.py` (PyTorch 1.13). Weights and data are not recorded, as formulas give
them: see starts.py and test/optim/trajectories.test.ts. Options have Steepest's names. Kept are the losses of every tenth step,
the parameters after the last, in Steepest's order and shapes, and PyTorch's defaults.
"""

import importlib
import inspect
import json
import pathlib
import warnings

import torch
from starts import start, take, weights
from torch import nn, optim
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import lr_scheduler as s
from torch.optim.swa_utils import SWALR, AveragedModel

warnings.simplefilter("ignore")

# PyTorch before 2.0 multiplies the product of the momenta by the current one twice; the paper and later versions do not.
nadam = importlib.import_module("torch.optim.nadam")
source = inspect.getsource(nadam._single_tensor_nadam)
assert "mu_product * mu * mu_next" in source
exec(source.replace("mu_product * mu * mu_next", "mu_product * mu_next"), vars(nadam))

STEPS, ROWS = 100, 16
PATHS = ["0.weight", "0.bias", "2.weight", "2.bias"]
NAMES = {
    "learningRate": "lr", "weightDecay": "weight_decay", "epsilon": "eps", "momentumDecay": "momentum_decay",
    "learningRateDecay": "lr_decay", "initialAccumulator": "initial_accumulator_value",
}  # fmt: skip
TORCH = {
    "sgd": optim.SGD, "adam": optim.Adam, "adamW": optim.AdamW, "nadam": optim.NAdam, "radam": optim.RAdam,
    "adamax": optim.Adamax, "adagrad": optim.Adagrad, "adadelta": optim.Adadelta, "rmsprop": optim.RMSprop,
    "rprop": optim.Rprop,
}  # fmt: skip

# The forms of each optimizer, and the decay with which each is taken once more.
OPTIMIZERS = {
    "sgd": (
        0.3,
        [
            {"learningRate": 3e-2},
            {"learningRate": 5e-3, "momentum": 0.9},
            {"learningRate": 5e-3, "momentum": 0.9, "dampening": 0.4},
            {"learningRate": 5e-3, "momentum": 0.9, "nesterov": True},
        ],
    ),
    "adam": (0.3, [{"learningRate": 2e-2}, {"learningRate": 2e-2, "beta1": 0.8, "beta2": 0.9, "amsgrad": True}]),
    "adamW": (0.5, [{"learningRate": 2e-2}, {"learningRate": 2e-2, "amsgrad": True}]),
    "nadam": (0.1, [{"learningRate": 1e-2}]),
    "radam": (0.1, [{"learningRate": 1e-2}]),
    "adamax": (0.3, [{"learningRate": 2e-2}]),
    "adagrad": (0.3, [{"learningRate": 5e-2, "learningRateDecay": 0.02, "initialAccumulator": 0.5}]),
    "adadelta": (0.3, [{"learningRate": 0.3, "rho": 0.95, "epsilon": 1e-5}]),
    "rmsprop": (
        0.1,
        [
            {"learningRate": 5e-3, "alpha": 0.9},
            {"learningRate": 2e-3, "momentum": 0.5},
            {"learningRate": 2e-3, "centered": True, "epsilon": 1e-3},
            {"learningRate": 2e-3, "centered": True, "momentum": 0.5, "epsilon": 1e-3},
        ],
    ),
    # It has no decay.
    "rprop": (None, [{"learningRate": 1e-3}]),
}
CLIPS = [None, ("clipByValue", 1), ("clipByNorm", 2), ("clipByGlobalNorm", 3)]


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(3, 4), nn.Linear(4, 2)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))

    def order(self):
        return [self.hidden.weight.T, self.hidden.bias, self.out.weight.T, self.out.bias]

    def at(self, path):
        return dict(zip(PATHS, [self.hidden.weight, self.hidden.bias, self.out.weight, self.out.bias]))[path]


def torch_optimizer(kind, options, parameters):
    given = {NAMES.get(name, name): value for name, value in options.items() if not name.startswith("beta")}
    if "beta1" in options:
        given["betas"] = (options["beta1"], options["beta2"])
    return TORCH[kind](parameters, **given)


def clip(kind, most, parameters):
    if kind == "clipByValue":
        clip_grad_value_(parameters, most)
    elif kind == "clipByGlobalNorm":
        clip_grad_norm_(parameters, most)
    else:
        for p in parameters:
            clip_grad_norm_([p], most)


class Run:
    """A training in float64, or float32. `optimizers` are (kind, options, paths); `schedule` makes a scheduler of each."""

    def __init__(self, optimizers, clipping=None, schedule=None, average=None, plateau=None, dtype=torch.float64):
        self.net = Net()
        start(self.net, self.net.order())
        self.net.to(dtype)
        numbers = weights(2)
        self.x = take(numbers, [ROWS, 3]).float().to(dtype)
        self.y = 8 * (self.x[:, :2] - self.x[:, 1:])
        groups = [(kind, options, [self.net.at(path) for path in paths]) for kind, options, paths in optimizers]
        self.trained = [p for *_, parameters in groups for p in parameters]
        self.optimizers = [torch_optimizer(*group) for group in groups]
        self.schedulers = [schedule(one) for one in self.optimizers] if schedule else []
        self.plateaus = [plateau(one) for one in self.optimizers] if plateau else []
        self.clipping, self.average = clipping, average
        self.averaged = AveragedModel(self.net, avg_fn=average[0]) if average else None
        self.losses, self.rates, self.clipped = [], [], 0
        # An exponential average begins at the values before the first step: PyTorch's takes the first that it is given.
        if average and average[1] is None:
            self.averaged.update_parameters(self.net)
        for step in range(1, STEPS + 1):
            self.step(step)

    def step(self, step):
        loss = ((self.net(self.x) - self.y) ** 2).mean()
        self.net.zero_grad()
        loss.backward()
        if self.clipping:
            before = [p.grad.clone() for p in self.trained]
            clip(*self.clipping, self.trained)
            self.clipped += any(not torch.allclose(a, p.grad, rtol=1e-3) for a, p in zip(before, self.trained))
        self.rates.append(self.optimizers[0].param_groups[0]["lr"])
        for one in [*self.optimizers, *self.schedulers]:
            one.step()
        for one in self.plateaus:
            one.step(loss.item())
        if self.averaged and (self.average[1] is None or (step >= self.average[1] and (step - self.average[1]) % self.average[2] == 0)):
            self.averaged.update_parameters(self.net)
        self.losses.append(loss.item())

    def parameters(self, net=None):
        return [value for view in (net or self.net).order() for value in view.reshape(-1).tolist()]


ALL = PATHS
cases = []


def short(values):
    return [float(f"{value:.9g}") for value in values]


def add(name, told, optimizers, **more):
    exact, single = Run(optimizers, **more), Run(optimizers, dtype=torch.float32, **more)
    error = max(abs(a - b) / max(1, abs(a)) for a, b in zip(exact.parameters(), single.parameters()))
    error = max(error, *(abs(b / a - 1) for a, b in zip(exact.losses, single.losses)))
    print(f"{name}: float32 off by {error:.1e}, losses {exact.losses[0]:.4g} to {exact.losses[-1]:.4g}, {exact.clipped} clipped, "
          f"rates {exact.rates[0]:.3g} to {exact.rates[-1]:.3g}")
    assert error < 5e-6, name  # a path that rounding turns to another end shows nothing
    if more.get("clipping"):
        assert exact.clipped > 5, name
    one = {"name": name, **told, "losses": short(exact.losses[::10]), "parameters": short(exact.parameters())}
    if more.get("average"):
        one["averages"] = short(exact.parameters(exact.averaged.module))
    cases.append(one)


def told(kind, options):
    return {"optimizer": kind, "options": options}


for kind, (decay, variants) in OPTIMIZERS.items():
    for options in [{**one, **more} for one in variants for more in ([{}] if decay is None else [{"weightDecay": 0}, {"weightDecay": decay}])]:
        # AdamW has one unless it is told.
        if options.get("weightDecay") == 0 and kind != "adamW":
            del options["weightDecay"]
        extra = "".join(f" {key}" for key, value in options.items() if key != "learningRate" and value)
        for clipping in CLIPS:
            more = {} if clipping is None else {"clip": clipping}
            name = f"{kind}{extra}, {'not clipped' if clipping is None else clipping[0]}"
            add(name, {**told(kind, options), **more}, [(kind, options, ALL)], clipping=clipping)


def of(kind, options, rate):
    return {"kind": kind, "rate": rate, "options": options}


def joined(rates, milestones):
    return {"kind": "joinSchedules", "rates": rates, "milestones": milestones}


def schedules(r):
    """Of each: the schedule as Steepest has it, and PyTorch's scheduler of an optimizer whose rate is r."""
    waves = [of("polynomialDecay", {"steps": 10, "end": end}, rate) for rate, end in [(r / 4, r), (r, r / 4)] * 5]
    return {
        "StepLR": (of("stepDecay", {"every": 30, "factor": 0.3}, r), lambda o: s.StepLR(o, 30, 0.3)),
        "MultiStepLR": (of("multiStepDecay", {"milestones": [40, 70], "factor": 0.2}, r), lambda o: s.MultiStepLR(o, [40, 70], 0.2)),
        "ExponentialLR": (of("exponentialDecay", {"factor": 0.97}, r), lambda o: s.ExponentialLR(o, 0.97)),
        "MultiplicativeLR": (
            of("exponentialDecay", {"factor": 0.5, "every": 20}, r),
            lambda o: s.MultiplicativeLR(o, lambda _: 0.5**0.05),
        ),
        "PolynomialLR": (of("polynomialDecay", {"steps": 80, "power": 2}, r), lambda o: s.PolynomialLR(o, 80, 2)),
        "LinearLR": (of("polynomialDecay", {"steps": 60, "end": r / 5}, r), lambda o: s.LinearLR(o, 1, 0.2, 60)),
        "LinearLR, up": (of("warmup", {"steps": 41, "start": 0.1}, r), lambda o: s.LinearLR(o, 0.1, 1, 40)),
        "ConstantLR": (joined([r / 4, r], [25]), lambda o: s.ConstantLR(o, 0.25, 25)),
        "CosineAnnealingLR": (of("cosineDecay", {"steps": 99, "end": r / 20}, r), lambda o: s.CosineAnnealingLR(o, 99, r / 20)),
        "CosineAnnealingWarmRestarts": (
            of("cosineRestarts", {"steps": 15, "factor": 2, "end": r / 20}, r),
            lambda o: s.CosineAnnealingWarmRestarts(o, 15, 2, r / 20),
        ),
        "OneCycleLR": (of("oneCycle", {"steps": 100}, r), lambda o: s.OneCycleLR(o, r, 100, cycle_momentum=False)),
        "OneCycleLR, three phases": (
            of("oneCycle", {"steps": 100, "rise": 0.4, "shape": "linear", "threePhases": True, "endDivisor": 100}, r),
            lambda o: s.OneCycleLR(o, r, 100, None, None, 0.4, "linear", False, final_div_factor=100, three_phase=True),
        ),
        "CyclicLR": (joined(waves, list(range(10, 100, 10))), lambda o: s.CyclicLR(o, r / 4, r, 10, cycle_momentum=False)),
        "SWALR": (of("cosineDecay", {"steps": 30, "end": r / 4}, r), lambda o: SWALR(o, r / 4, 30)),
        "LambdaLR: inverse square root": (
            of("inverseSquareRoot", {"warmup": 20}, r),
            lambda o: s.LambdaLR(o, lambda epoch: min((epoch + 1) / 20, (20 / (epoch + 1)) ** 0.5)),
        ),
        "SequentialLR: up, cosine": (
            joined([of("warmup", {"steps": 10, "start": 0.1}, r), of("cosineDecay", {"steps": 90, "end": r / 100}, r)], [10]),
            lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1, 9), s.CosineAnnealingLR(o, 90, r / 100)], [10]),
        ),
        "SequentialLR: up, stays, down": (
            joined([of("warmup", {"steps": 21, "start": 0.05}, r), r, of("exponentialDecay", {"factor": 0.95}, r)], [20, 60]),
            lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.05, 1, 20), s.ConstantLR(o, 1, 1), s.ExponentialLR(o, 0.95)], [20, 60]),
        ),
        "ChainedScheduler: up, exponential": (
            of("warmup", {"steps": 11, "start": 0.1}, of("exponentialDecay", {"factor": 0.96}, r)),
            lambda o: s.ChainedScheduler([s.LinearLR(o, 0.1, 1, 10), s.ExponentialLR(o, 0.96)]),
        ),
    }


# Steps of SGD are as long as the gradient is.
for kind, options in [
    ("sgd", {"learningRate": 5e-3, "momentum": 0.9, "weightDecay": 0.1}),
    ("adamW", {"learningRate": 5e-2, "weightDecay": 0.5}),
]:
    for name, (schedule, make) in schedules(options["learningRate"]).items():
        add(f"{name}, {kind}", {**told(kind, options), "schedule": schedule}, [(kind, options, ALL)], schedule=make)
    add(
        f"ReduceLROnPlateau, {kind}",
        {**told(kind, options), "plateau": {"factor": 0.5, "patience": 3, "threshold": 0.01}},
        [(kind, options, ALL)],
        plateau=lambda o: s.ReduceLROnPlateau(o, factor=0.5, patience=3, threshold=0.01, eps=0),
    )

# Groups: PyTorch has one optimizer for each kind.
for groups in [
    [("*.weight", "adamW", {"learningRate": 2e-2, "weightDecay": 0.5}), ("*.bias", "adamW", {"learningRate": 5e-2, "weightDecay": 0})],
    [("0.*", "rmsprop", {"learningRate": 5e-3, "alpha": 0.9}), ("2.*", "sgd", {"learningRate": 1e-3, "momentum": 0.9})],
]:
    parts = [
        (kind, options, [path for path in PATHS if path.startswith(pattern[:2]) or path.endswith(pattern[1:])])
        for pattern, kind, options in groups
    ]
    assert sorted(path for *_, paths in parts for path in paths) == sorted(PATHS)
    for most in (None, 3):
        extra = {} if most is None else {"clip": ["clipByGlobalNorm", most]}
        clipping = None if most is None else ("clipByGlobalNorm", most)
        add(f"groups of {' and '.join(one[1] for one in groups)}{', clipByGlobalNorm' if most else ''}", {"groups": groups, **extra}, parts, clipping=clipping)

# The norm is that of what is trained.
kind, options = "adam", {"learningRate": 2e-2}
most = ("clipByGlobalNorm", 2)
add("frozen, clipByGlobalNorm", {**told(kind, options), "frozen": ["0.weight"], "clip": most}, [(kind, options, PATHS[1:])], clipping=most)

EMA = lambda average, p, _: 0.9 * average + 0.1 * p
MEAN = lambda average, p, n: average + (p - average) / (n + 1)
for average, spec in [((EMA, None), {"decay": 0.9}), ((MEAN, 61, 5), {"mean": True, "start": 61, "every": 5})]:
    add(f"averaged, {' '.join(spec)}", {**told(kind, options), "average": spec}, [(kind, options, ALL)], average=average)


def defaults_of(kind):
    """PyTorch's, by Steepest's names."""
    known = {name: option for option, name in NAMES.items()}
    pairs = {"betas": ["beta1", "beta2"], "etas": ["shorter", "longer"], "step_sizes": ["minStep", "maxStep"]}
    found = {}
    for name, parameter in inspect.signature(TORCH[kind].__init__).parameters.items():
        if name in pairs:
            found.update(zip(pairs[name], parameter.default))
        elif name == "lr" and kind == "sgd":
            continue  # it must be given
        elif name not in ["self", "params", "maximize", "foreach", "differentiable", "capturable", "fused"]:
            found[known.get(name, name)] = parameter.default
    return found


defaults = {kind: defaults_of(kind) for kind in TORCH}
golden = {"torch": torch.__version__, "defaults": defaults, "cases": cases}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden))
