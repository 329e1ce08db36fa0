"""Weights at the start of a training that need no recording, as a formula gives them: starts.ts gives the same."""

import math

import torch
from torch import nn


def weights(seed):
    """Numbers in [-1, 1) of a linear congruential generator; the low bits, which repeat soon, count least."""
    while True:
        seed = (1664525 * seed + 1013904223) % 2**32
        yield seed / 2**31 - 1


def take(numbers, shape):
    """The next numbers, in float64."""
    return torch.tensor([next(numbers) for _ in range(math.prod(shape))], dtype=torch.float64).reshape(shape)


def start(model, order):
    """Sets `order`, views of the parameters in Steepest's order and shapes: matrices ±1/√(their first size), vectors about 0,
    those of normalizations about 1."""
    numbers = weights(1)
    with torch.no_grad():
        for view in order:
            scale = 1 / math.sqrt(view.shape[0]) if view.dim() > 1 else 0.1
            view.copy_((scale * take(numbers, list(view.shape))).float())
        for module in model.modules():
            if isinstance(module, (nn.LayerNorm, nn.BatchNorm2d)):
                module.weight.copy_(module.weight.float() + 1)
