# Writes weights.json beside it: losses with a weight for each sample, position or element, from PyTorch in float64: the sum of
# weight times loss, the same over the sum of the weights, and their gradients. Run with Debian's python3-torch:
# /usr/bin/python3 weights.py
import torch
import torch.nn.functional as F
from pool import listed, numbers, write

NONE = {"reduction": "none"}
LOSSES = {
    "meanSquaredError": lambda x, y: F.mse_loss(x, y, **NONE),
    "halfSquaredError": lambda x, y: F.mse_loss(x, y, **NONE) / 2,
    "meanAbsoluteError": lambda x, y: F.l1_loss(x, y, **NONE),
    "huber": lambda x, y: F.huber_loss(x, y, delta=0.7, **NONE),
    "hinge": lambda x, y: (1 - x * y).clamp(min=0),
    "perceptron": lambda x, y: ((x >= 0).double() - y) * x,
    "logits": lambda x, y: F.binary_cross_entropy_with_logits(x, y, **NONE),
    "probabilities": lambda x, y: F.binary_cross_entropy(x, y, **NONE),
    "classes": lambda x, y: F.cross_entropy(x.movedim(-1, 1), y, **NONE),
    "ignoring": lambda x, y: F.cross_entropy(x.movedim(-1, 1), y, ignore_index=-1, **NONE),
    "distributions": lambda x, y: F.cross_entropy(x.movedim(-1, 1), y.movedim(-1, 1), **NONE),
}


def targets(generator, loss, shape):
    draw = torch.rand(shape, generator=generator).double()
    if loss == "hinge":
        return (draw > 0.5).double() * 2 - 1
    if loss == "perceptron":
        return (draw > 0.5).double()
    if loss in ["logits", "probabilities"]:
        return (draw * 100).round() / 100
    if loss in ["classes", "ignoring"]:
        y = (draw[..., 0] * shape[-1]).long()
        return torch.where(draw[..., 1] < 0.3, -1, y) if loss == "ignoring" else y
    if loss == "distributions":
        return draw.softmax(-1)
    return numbers(generator, shape)


def record():
    generator = torch.Generator().manual_seed(14)
    for loss, f in LOSSES.items():
        for shape in [(4, 3), (3, 5, 2), (2, 3, 2, 4)]:
            x = numbers(generator, shape)
            if loss == "probabilities":
                x = ((x.sigmoid() * 90).round() + 5) / 100
            y = targets(generator, loss, shape)
            units = f(x, y).shape
            for axes in range(1, len(units) + 1):
                w = ((torch.rand(units[:axes], generator=generator).double() * 3 - 0.5).clamp(min=0) * 100).round() / 100
                # Something must count.
                w = torch.ones_like(w) if (w * (y.reshape(w.shape + (-1,))[..., 0] != -1)).sum() == 0 else w
                each = w.reshape(list(w.shape) + [1] * (len(units) - axes)).expand(units)
                counted = each * (y != -1) if loss == "ignoring" else each
                one = {"loss": loss, "shape": list(shape), "x": listed(x), "y": listed(y), "weights": listed(w)}
                for name, divisor in [("mean", counted.sum()), ("sum", 1)]:
                    leaf = x.detach().clone().requires_grad_()
                    value = (f(leaf, y) * counted).sum() / divisor
                    value.backward()
                    one |= {name: value.item(), f"{name}Gradient": listed(leaf.grad)}
                yield one


if __name__ == "__main__":
    write("weights.json", [*record()], "weights.py")
