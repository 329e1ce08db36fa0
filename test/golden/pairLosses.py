"""Records test/golden/pairLosses.json: losses of pairs, triples, batches and regions with all gradients, from PyTorch in float64
as test/golden/graphOps.py does. What PyTorch lacks is its paper's equation here, differentiated by PyTorch.

Run with `/usr/bin/python3 test/golden/pairLosses.py` (PyTorch 1.13).
"""

import pathlib

import torch
import torch.nn.functional as F
import graphOps
from graphOps import labels, write

REDUCTIONS = ["mean", "sum", "none"]


def normal(*shape):
    """Numbers of few digits."""
    return torch.round(graphOps.normal(*shape) * 64) / 64


def reduced(values, reduction):
    return {"mean": values.mean, "sum": values.sum, "none": lambda: values}[reduction]()


def signs(*shape):
    """Fixed: a target, that gets no gradient here as in PyTorch."""
    values = torch.ones(shape).flatten()
    values[1::2] = -1
    values[::5] = -1
    return values.reshape(shape)


def held(f, target):
    """A loss whose target gets no gradient: that of `target` is recorded as zeros."""
    return lambda *x: f(*x[:-1], x[-1].detach()) + 0 * x[-1].sum()


def contrastive(a, b, t, margin, reduction):
    """Hadsell, Chopra & LeCun 2006, equation 4, with the target 1 for its Y = 0 and -1 for its Y = 1."""
    d = torch.linalg.vector_norm(a - b, dim=-1)
    return reduced(torch.where(t == 1, d**2 / 2, (margin - d).clamp_min(0) ** 2 / 2), reduction)


def info_nce(q, k, temperature, symmetric, normalize, reduction):
    if normalize:
        q, k = F.normalize(q, dim=-1), F.normalize(k, dim=-1)
    logits = q @ k.T / temperature
    own = torch.arange(len(q))
    values = F.cross_entropy(logits, own, reduction="none")
    if symmetric:
        values = (values + F.cross_entropy(logits.T, own, reduction="none")) / 2
    return reduced(values, reduction)


def region(kind, p, t, over, smooth, background, reduction, alpha=0.5, beta=0.5):
    axes = list(range(0 if over == "batch" else 1, p.dim() - 1))
    if not background:
        p, t = p[..., 1:], t[..., 1:]
    total = (lambda x: x.sum(axes)) if axes else (lambda x: x)
    both, predicted, present = total(p * t), total(p), total(t)
    if kind == "diceLoss":
        quotient = (2 * both + smooth) / (predicted + present + smooth)
    elif kind == "jaccardLoss":
        quotient = (both + smooth) / (predicted + present - both + smooth)
    else:
        false_positives, false_negatives = total(p * (1 - t)), total((1 - p) * t)
        quotient = (both + smooth) / (both + alpha * false_positives + beta * false_negatives + smooth)
    return reduced(1 - quotient, reduction)


def regions():
    for kind in ["diceLoss", "jaccardLoss", "tverskyLoss"]:
        extras = [{}, {"alpha": 0.3, "beta": 0.7}] if kind == "tverskyLoss" else [{}]
        for extra in extras:
            for reduction in REDUCTIONS:
                for over in ["sample", "batch"]:
                    for smooth, background in [(1e-5, True), (1, False)]:
                        options = {"reduction": reduction, "over": over, "smooth": smooth, "background": background} | extra
                        names = (kind, over, smooth, background, reduction)

                        def f(x, t, activation, names=names, extra=extra):
                            kind, over, smooth, background, reduction = names
                            return region(kind, activation(x), t, over, smooth, background, reduction, **extra)

                        bits = (normal(2, 2, 2, 2) > 0).float()
                        yield (kind, {"options": options}, [normal(2, 2, 2, 2), bits], lambda x, t, f=f: f(x, t, torch.sigmoid))
                        yield (
                            kind,
                            {"options": options},
                            [normal(2, 3, 3), labels(3, 2, 3)],
                            lambda x, t, f=f: f(x, F.one_hot(t, 3).to(x.dtype), lambda x: x.softmax(-1)),
                        )
    soft = normal(2, 5, 3).softmax(-1)
    for kind in ["diceLoss", "jaccardLoss", "tverskyLoss"]:
        for options, activation in [
            ({"from": "probabilities"}, lambda x: x),
            ({"activation": "softmax"}, lambda x: x.softmax(-1)),
            ({"activation": "sigmoid", "smooth": 0}, torch.sigmoid),
        ]:
            smooth = options.get("smooth", 1e-5)
            x = normal(2, 5, 3).sigmoid() if "from" in options else normal(2, 5, 3)
            yield (
                kind,
                {"options": options},
                [x, soft],
                lambda x, t, kind=kind, activation=activation, smooth=smooth: region(
                    kind, activation(x), t, "sample", smooth, True, "mean"
                ),
            )
        # One number a class and sample: no positions.
        yield (kind, {}, [normal(4, 1), (normal(4, 1) > 0).float()], lambda x, t, kind=kind: region(kind, x.sigmoid(), t, "sample", 1e-5, True, "mean"))


CASES = [
    *[
        ("cosineEmbedding", {"options": {"margin": margin, "reduction": r}}, [normal(6, 5), normal(6, 5), signs(6)], held(lambda a, b, t, margin=margin, r=r: F.cosine_embedding_loss(a, b, t, margin, reduction=r), 2))
        for margin in [0, 0.3, -0.4]
        for r in REDUCTIONS
    ],
    ("cosineEmbedding", {"options": {}}, [torch.tensor([[0.0, 0, 0], [1e-6, 0, 0], [1, 2, 3]]), torch.tensor([[1.0, 0, 2], [1, 1, 0], [1, 2, 3]]), torch.tensor([1.0, -1, -1])], held(lambda a, b, t: F.cosine_embedding_loss(a, b, t), 2)),
    *[
        ("cosineSimilarityLoss", {"options": {"axis": axis, "reduction": r}}, [normal(4, 5), normal(4, 5)], lambda a, b, axis=axis, r=r: reduced(-F.cosine_similarity(a, b, axis), r))
        for axis in [-1, 0]
        for r in REDUCTIONS
    ],
    *[
        ("hingeEmbedding", {"options": {"margin": margin, "reduction": r}}, [normal(3, 4), signs(3, 4)], held(lambda x, t, margin=margin, r=r: F.hinge_embedding_loss(x, t, margin, reduction=r), 1))
        for margin in [1, 0.25]
        for r in REDUCTIONS
    ],
    # At the kink, and a target that is neither.
    ("hingeEmbedding", {"options": {"reduction": "none"}}, [torch.tensor([1.0, 1, 2, 0.5]), torch.tensor([-1.0, 1, 0, 0.5])], held(lambda x, t: F.hinge_embedding_loss(x, t, reduction="none"), 1)),
    *[
        ("marginRanking", {"options": {"margin": margin, "reduction": r}}, [normal(9), normal(9), signs(9)], lambda a, b, t, margin=margin, r=r: F.margin_ranking_loss(a, b, t, margin, reduction=r))
        for margin in [0, 0.5]
        for r in REDUCTIONS
    ],
    ("marginRanking", {"options": {"reduction": "none"}}, [torch.tensor([1.0, 2]), torch.tensor([1.0, 2]), torch.tensor([1.0, -1])], lambda a, b, t: F.margin_ranking_loss(a, b, t, reduction="none")),
    *[
        ("tripletMargin", {"options": {"margin": margin, "p": p, "swap": swap, "epsilon": epsilon, "reduction": r}}, [normal(5, 4), normal(5, 4), normal(5, 4)], lambda a, b, c, margin=margin, p=p, swap=swap, epsilon=epsilon, r=r: F.triplet_margin_loss(a, b, c, margin, p, epsilon, swap, reduction=r))
        for margin, p, epsilon in [(1, 2, 1e-6), (0.2, 1, 1e-6), (2, 3, 0.1), (0, 2, 0)]
        for swap in [False, True]
        for r in REDUCTIONS
    ],
    ("tripletMargin", {"options": {"reduction": "none"}}, [normal(2, 3, 4), normal(2, 3, 4), normal(2, 3, 4)], lambda a, b, c: F.triplet_margin_loss(a, b, c, reduction="none")),
    *[
        ("contrastive", {"options": {"margin": margin, "reduction": r}}, [normal(6, 3), normal(6, 3), signs(6)], held(lambda a, b, t, margin=margin, r=r: contrastive(a, b, t, margin, r), 2))
        for margin in [1, 4]
        for r in REDUCTIONS
    ],
    *[
        ("infoNce", {"options": {"temperature": temperature, "symmetric": symmetric, "normalize": normalize, "reduction": r}}, [normal(5, 4), normal(5, 4)], lambda q, k, o=(temperature, symmetric, normalize, r): info_nce(q, k, *o))
        for temperature, normalize in [(0.07, True), (0.5, True), (2, False)]
        for symmetric in [False, True]
        for r in REDUCTIONS
    ],
    ("infoNce", {"options": {"temperature": 0.2}}, [normal(3, 4), normal(8, 4)], lambda q, k: info_nce(q, k, 0.2, False, True, "mean")),
    *regions(),
]

if __name__ == "__main__":
    write(pathlib.Path(__file__), CASES)
