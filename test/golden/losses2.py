"""Records test/golden/losses2.json: losses with weights, reductions, ignored targets and smoothing, with all gradients, from PyTorch
in float64 on float32 inputs. What PyTorch lacks is its source's equation here, differentiated by PyTorch.

Run with `/usr/bin/python3 test/golden/losses2.py` (PyTorch 1.13).
"""

import itertools
import json
import math
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(14)
cases = []


def normal(*shape, scale=2.0):
    return (torch.round(torch.randn(*shape) * scale * 64) / 64).float().double()


def reduce(values, reduction, weights=None, units=None):
    """weights of rows, and of units by their target, which are in the values."""
    w = torch.ones(len(values)).double() if weights is None else weights
    w = w.reshape([-1] + [1] * (values.dim() - 1)).expand(values.shape)
    total = values * w
    if reduction == "none":
        return total
    if reduction == "sum":
        return total.sum()
    return total.sum() / (w if units is None else w * units).sum()


def clean(x):
    return [float("%.9g" % v) for v in x.detach().flatten().tolist()]


def record(loss, options, x, t, values_of, units=None, reduction="mean", weights=None, direct=None, variance=None):
    """values_of(x): one value a unit; direct(x): PyTorch's own reduction of it, where it has it, which must agree."""
    leaves = [v.clone().requires_grad_() for v in ([x] if variance is None else [x, variance])]
    y = reduce(values_of(*leaves), reduction, weights, units)
    if direct is not None and weights is None:
        assert torch.allclose(y, direct(*leaves), rtol=1e-12, atol=1e-12), (loss, options)
    upstream = torch.ones_like(y) if y.dim() == 0 else (torch.round(torch.randn(y.shape) * 64) / 64).double()
    gradients = torch.autograd.grad((y * upstream).sum(), leaves)
    cases.append(
        {
            "loss": loss,
            "options": options,
            "reduction": reduction,
            "shape": list(x.shape),
            "x": clean(x),
            "labels": not t.is_floating_point(),
            "tShape": list(t.shape),
            "t": clean(t.double()),
            **({} if variance is None else {"variance": clean(variance)}),
            **({} if weights is None else {"weights": clean(weights)}),
            **({} if y.dim() == 0 else {"upstream": clean(upstream)}),
            "output": clean(y),
            "gradients": [clean(g) for g in gradients],
        }
    )


ROWS = torch.tensor([1.0, 0.5, 0.0, 2.0, 1.5], dtype=torch.float64)
WAYS = [("mean", None), ("sum", None), ("none", None), ("mean", ROWS), ("sum", ROWS)]


def element(loss, options, values, make_x, make_t, direct=None, ways=WAYS):
    """A loss by element, plain and with a target that is ignored."""
    for (reduction, weights), ignore in itertools.product(ways, [None, -1.0]):
        if ignore is not None and (reduction, weights is None) in [("sum", True), ("sum", False)]:
            continue
        x, t = make_x(), make_t()
        given = dict(options)
        counted = torch.ones_like(t)
        clean_t = t.clone()
        if ignore is not None:
            if loss in ("squaredHinge", "softMargin"):
                ignore = 0.0
            given["ignoreValue"] = ignore
            counted = torch.ones(t.shape).double()
            counted.view(-1)[1::3] = 0
            t = torch.where(counted == 0, torch.tensor(ignore).double(), t)
            counted = (t != ignore).double()
        f = lambda x, *rest: values(x, clean_t, *rest) * counted
        own = (lambda x: direct(x, clean_t, reduction)) if direct and ignore is None and weights is None else None
        record(loss, given, x, t, f, counted, reduction, weights, own)


def signs(*shape):
    return torch.where(torch.randn(*shape) > 0, 1.0, -1.0).double()


def counts(*shape):
    return torch.randint(0, 7, shape).double()


def bits(*shape):
    return torch.randint(0, 2, shape).double()


X = lambda: normal(5, 3)
element("smoothL1", {}, lambda x, t: F.smooth_l1_loss(x, t, reduction="none"), X, X, lambda x, t, r: F.smooth_l1_loss(x, t, reduction=r))
element("smoothL1", {"beta": 0.5}, lambda x, t: F.smooth_l1_loss(x, t, reduction="none", beta=0.5), X, X, lambda x, t, r: F.smooth_l1_loss(x, t, reduction=r, beta=0.5))
element("logCosh", {}, lambda x, t: torch.log(torch.cosh(x - t)), X, X)
positive = lambda: normal(5, 3).abs() + 0.25
keras_log = lambda v: torch.log(v.clamp_min(1e-7) + 1)
element("meanSquaredLogarithmicError", {}, lambda x, t: (keras_log(x) - keras_log(t)) ** 2, positive, positive)
element("meanAbsolutePercentageLoss", {}, lambda x, t: 100 * ((t - x) / t.abs().clamp_min(1e-7)).abs(), X, positive)
element("squaredHinge", {}, lambda x, t: (1 - t * x).clamp_min(0) ** 2, X, lambda: signs(5, 3))
element("softMargin", {}, lambda x, t: torch.log1p(torch.exp(-t * x)), X, lambda: signs(5, 3), lambda x, t, r: F.soft_margin_loss(x, t, reduction=r))
for log_input, full in [(True, False), (True, True), (False, True)]:
    element(
        "poissonNegativeLogLikelihood",
        {"logInput": log_input, "full": full},
        lambda x, t: F.poisson_nll_loss(x, t, log_input=log_input, full=full, reduction="none"),
        X if log_input else positive,
        lambda: counts(5, 3),
        lambda x, t, r: F.poisson_nll_loss(x, t, log_input=log_input, full=full, reduction=r),
    )
for q in [0.5, 0.9]:
    element("quantile", {"quantiles": q}, lambda x, t: torch.maximum(q * (t - x), (q - 1) * (t - x)), X, X)
several = torch.tensor([0.1, 0.5, 0.9]).double()
pinball = lambda x, t: torch.maximum(several * (t[..., None] - x), (several - 1) * (t[..., None] - x)).mean(-1)
element("quantile", {"quantiles": [0.1, 0.5, 0.9]}, pinball, lambda: normal(5, 2, 3), lambda: normal(5, 2))
pos = torch.tensor([0.5, 2.0, 4.0]).double()
bce = F.binary_cross_entropy_with_logits
element("binaryCrossEntropy", {"positiveWeight": [0.5, 2, 4]}, lambda x, t: bce(x, t, pos_weight=pos, reduction="none"), X, lambda: torch.round(torch.rand(5, 3) * 64).double() / 64, lambda x, t, r: bce(x, t, pos_weight=pos, reduction=r))
element("binaryCrossEntropy", {"positiveWeight": 3, "labelSmoothing": 0.25}, lambda x, t: bce(x, t * 0.75 + 0.125, pos_weight=torch.tensor(3.0).double(), reduction="none"), X, lambda: bits(5, 3))
element("binaryCrossEntropy", {}, lambda x, t: bce(x, t, reduction="none"), X, lambda: bits(5, 3), lambda x, t, r: bce(x, t, reduction=r))


def binary_focal(x, t, gamma, alpha):
    """Lin et al. 2017, equation 5."""
    p = torch.sigmoid(x) * t + torch.sigmoid(-x) * (1 - t)
    a = 1 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    return a * (1 - p) ** gamma * bce(x, t, reduction="none")


for gamma, alpha in [(2, None), (0.5, 0.25)]:
    options = {"targets": "bits", "gamma": gamma, **({} if alpha is None else {"alpha": alpha})}
    element("focal", options, lambda x, t: binary_focal(x, t, gamma, alpha), X, lambda: bits(5, 3))
for full in [False, True]:
    for (reduction, weights) in WAYS:
        mean, log_v, t = normal(5, 2), normal(5, 2, scale=1.0), normal(5, 2)
        nll = lambda m, v: F.gaussian_nll_loss(m, t, v, full=full, reduction="none")
        record("gaussianGraph", {"full": full}, mean, t, nll, None, reduction, weights, variance=torch.exp(log_v).float().double())
        both = torch.cat([mean, log_v], 1)
        own = lambda x: F.gaussian_nll_loss(x[:, :2], t, torch.exp(x[:, 2:]), full=full, reduction="none")
        if reduction != "none":
            record("gaussianNegativeLogLikelihood", {"full": full}, both, t, own, None, reduction, weights)

WEIGHTS = [0.5, 2.0, 1.0, 4.0]
W = torch.tensor(WEIGHTS).double()


def by_class(loss, extra, values, direct, x_of, weighted_mean, class_weights=(False, True)):
    """A loss of class indices, over weights of classes, an ignored index and all ways."""
    for weighed, ignore, (reduction, weights) in itertools.product(class_weights, [None, -100], WAYS):
        if ignore is not None and weights is not None and reduction == "sum":
            continue
        x = x_of()
        t = torch.randint(0, 4, (5,) if x.dim() == 2 else (5, 2))
        counted = torch.ones(t.shape).double()
        if ignore is not None:
            counted.view(-1)[::3] = 0
        w = W if weighed else torch.ones(4).double()
        units = counted * (w[t] if weighted_mean else 1)
        given = torch.where(counted == 0, torch.tensor(-100), t)
        f = lambda x: values(x, t, w) * counted
        own = (lambda x: direct(x, given, w, reduction)) if direct and (ignore is None or loss != "multiMargin") else None
        options = {**extra, **({"classWeights": WEIGHTS} if weighed else {}), **({} if ignore is None else {"ignoreIndex": ignore})}
        if loss == "focal" and weighed:
            options["alpha"] = options.pop("classWeights")
        record(loss, options, x, given, f, units, reduction, weights, own)


def move(x):
    """Classes as PyTorch has them, behind the batch."""
    return x if x.dim() == 2 else x.transpose(1, 2)


cross = lambda s: (lambda x, t, w: F.cross_entropy(move(x), t, w, reduction="none", label_smoothing=s))
cross_direct = lambda s: (lambda x, t, w, r: F.cross_entropy(move(x), t, w, reduction=r, label_smoothing=s))
by_class("crossEntropy", {"labelSmoothing": 0.1}, cross(0.1), cross_direct(0.1), lambda: normal(5, 4), True)
by_class("crossEntropy", {}, cross(0.0), cross_direct(0.0), lambda: normal(5, 2, 4), True, (True,))
nll = lambda x, t, w: F.nll_loss(move(x), t, w, reduction="none")
nll_direct = lambda x, t, w, r: F.nll_loss(move(x), t, w, reduction=r)
by_class("negativeLogLikelihood", {}, nll, nll_direct, lambda: normal(5, 4), True)
margin = lambda p, m: (lambda x, t, w: F.multi_margin_loss(x, t, p=p, margin=m, weight=w, reduction="none"))
margin_direct = lambda p, m: (lambda x, t, w, r: F.multi_margin_loss(x, t, p=p, margin=m, weight=w, reduction=r))
by_class("multiMargin", {}, margin(1, 1.0), margin_direct(1, 1.0), lambda: normal(5, 4), False)
by_class("multiMargin", {"p": 2, "margin": 0.5}, margin(2, 0.5), margin_direct(2, 0.5), lambda: normal(5, 4), False, (True,))


def class_focal(x, t, w):
    logs = F.log_softmax(x, -1).gather(-1, t[..., None])[..., 0]
    return w[t] * (1 - torch.exp(logs)) ** 1.5 * -logs


by_class("focal", {"gamma": 1.5}, class_focal, None, lambda: normal(5, 4), False)


def coral(x, t, w):
    """Cao, Mirjalili & Raschka 2020, equation 4, without weights of levels, times those of classes."""
    above = (t[..., None] > torch.arange(x.shape[-1])).double()
    return -w[t] * (F.logsigmoid(x) * above + (F.logsigmoid(x) - x) * (1 - above)).sum(-1)


by_class("ordinal", {}, coral, None, lambda: normal(5, 3), False, (False,))
for smoothing, weighed, (reduction, weights) in itertools.product([0.0, 0.2], [False, True], WAYS):
    x, t = normal(5, 4), torch.softmax(normal(5, 4), -1).float().double()
    w = W if weighed else None
    f = lambda x: F.cross_entropy(x, t, w, reduction="none", label_smoothing=smoothing)
    own = lambda x: F.cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)
    options = {"targets": "distributions", **({"classWeights": WEIGHTS} if weighed else {}), **({"labelSmoothing": smoothing} if smoothing else {})}
    record("crossEntropy", options, x, t, f, None, reduction, weights, own)
for log_target, (reduction, weights) in itertools.product([False, True], WAYS):
    x, t = F.log_softmax(normal(5, 4), -1).float().double(), F.log_softmax(normal(5, 4), -1)
    t = (t if log_target else torch.exp(t)).float().double()
    f = lambda x: F.kl_div(x, t, reduction="none", log_target=log_target).sum(-1)
    r = {"mean": "batchmean", "sum": "sum"}
    own = (lambda x: F.kl_div(x, t, reduction=r[reduction], log_target=log_target)) if reduction in r else None
    record("klDivergence", {"logTarget": log_target}, x, t, f, None, reduction, weights, own)
for reduction, weights in WAYS:
    x, t = normal(5, 4), bits(5, 4)
    lists = torch.full((5, 4), -1)
    for i in range(5):
        there = t[i].nonzero().flatten()
        lists[i, : len(there)] = there
    f = lambda x: F.multilabel_margin_loss(x, lists, reduction="none")
    record("multiLabelMargin", {}, x, t, f, None, reduction, weights, lambda x: F.multilabel_margin_loss(x, lists, reduction=reduction))
    for w in [None, W]:
        g = lambda x: F.multilabel_soft_margin_loss(x, t, w, reduction="none")
        own = lambda x: F.multilabel_soft_margin_loss(x, t, w, reduction=reduction)
        record("multiLabelSoftMargin", {} if w is None else {"classWeights": WEIGHTS}, x, t, g, None, reduction, weights, own)
by_class("ordinal", {}, coral, None, lambda: normal(5, 3), True, (True,))

source = f"PyTorch {torch.__version__.split('+')[0]} in float64"
lines = ",\n".join(json.dumps(c, separators=(",", ":")) for c in cases)
pathlib.Path(__file__).with_suffix(".json").write_text(f'{{"source":"{source}","cases":[\n{lines}\n]}}\n')
print(len(cases))
