"""Records test/golden/sampling.json: images at other sizes, images sampled at points, grids of affine transformations, from
PyTorch in float64 as test/golden/graphOps.py does. Images and volumes are channels-last in the file.

Run with `/usr/bin/python3 test/golden/sampling.py` (PyTorch 1.13).
"""

import pathlib

import torch
import torch.nn.functional as F
from graphOps import normal, write
from volumes import first, last

# PyTorch's modes as those of resize.
MODES = {
    "nearest": {"mode": "nearest", "coordinates": "asymmetric", "rounding": "floor"},
    "nearest-exact": {"mode": "nearest", "rounding": "roundPreferCeil"},
    "linear": {"mode": "linear"},
    "bilinear": {"mode": "linear"},
    "trilinear": {"mode": "linear"},
    "bicubic": {"mode": "cubic"},
}


def resize(mode, shape, align=None, **size):
    options = {**MODES[mode], **size, **({"coordinates": "alignCorners"} if align else {})}
    wanted = {"size": size["size"]} if "size" in size else {"scale_factor": size["scale"]}
    return ("resize", {"options": options}, [normal(*shape)], lambda x: last(F.interpolate(first(x), mode=mode, align_corners=align, **wanted)))


def away(*shape):
    """Points of which none is near the edge of a pixel, where slopes jump; some are outside."""
    return normal(*shape) * 0.7


def sample(mode, padding, align, shape, points, grid=away):
    ours = "linear" if mode == "bilinear" else {"nearest": "nearest", "bicubic": "cubic"}[mode]
    options = {"mode": ours, "padding": {"zeros": "zeros", "border": "border", "reflection": "reflection"}[padding], "alignCorners": align}
    f = lambda x, grid: last(F.grid_sample(first(x), grid, mode=mode, padding_mode=padding, align_corners=align))
    return ("gridSample", {"options": options}, [normal(*shape), grid(shape[0], *points, len(points))], f)


def affine(align, batch, size):
    f = lambda theta: F.affine_grid(theta, [batch, 1, *size], align_corners=align)
    return ("affineGrid", {"size": size, "options": {"alignCorners": align}}, [normal(batch, len(size), len(size) + 1)], f)


def transformed(align, shape, size):
    def f(x, theta):
        return last(F.grid_sample(first(x), F.affine_grid(theta, [shape[0], 1, *size], align_corners=align), align_corners=align))

    axes = len(size)
    theta = torch.eye(axes, axes + 1) * 0.8 + normal(shape[0], axes, axes + 1) * 0.2
    return ("transformed", {"size": size, "options": {"alignCorners": align}}, [normal(*shape), theta], f)


PADDINGS = ["zeros", "border", "reflection"]

CASES = [
    *[resize("linear", (2, 5, 3), align, size=size) for align in [False, True] for size in [3, 8, 1]],
    *[resize("nearest", (2, 7, 3), size=size) for size in [3, 10]],
    *[resize("nearest-exact", (2, 7, 3), size=size) for size in [3, 10]],
    *[resize("bilinear", (2, 4, 5, 3), align, size=[7, 3]) for align in [False, True]],
    *[resize("bicubic", (2, 5, 4, 5), align, size=[8, 9]) for align in [False, True]],
    *[resize("bicubic", (1, 7, 8, 2), align, size=[3, 5]) for align in [False, True]],
    resize("bicubic", (1, 3, 4, 17), False, scale=[2.5, 1.3]),
    resize("bilinear", (1, 5, 6, 2), False, scale=[0.7, 1.9]),
    resize("nearest", (1, 5, 6, 2), scale=[0.7, 1.9]),
    *[resize("trilinear", (1, 3, 4, 2, 3), align, size=[5, 3, 4]) for align in [False, True]],
    resize("nearest", (2, 2, 3, 4, 2), size=[3, 5, 2]),
    *[sample(mode, padding, align, (2, 5, 4, 3), (3, 4)) for mode in ["bilinear", "nearest", "bicubic"] for padding in PADDINGS for align in [False, True]],
    *[sample(mode, "reflection", align, (1, 4, 6, 9), (2, 5), lambda *shape: normal(*shape) * 3) for mode in ["bilinear", "bicubic"] for align in [False, True]],
    *[sample("bilinear", padding, align, (1, 1, 3, 2), (2, 3)) for padding in PADDINGS for align in [False, True]],
    *[sample(mode, padding, align, (2, 3, 4, 2, 3), (2, 2, 3)) for mode in ["bilinear", "nearest"] for padding in PADDINGS for align in [False, True]],
    *[affine(align, 2, size) for align in [False, True] for size in [[3, 4], [1, 5], [2, 3, 4]]],
    *[transformed(align, (2, 5, 6, 3), [4, 4]) for align in [False, True]],
    transformed(False, (1, 3, 4, 5, 2), [3, 2, 3]),
]

if __name__ == "__main__":
    write(pathlib.Path(__file__), CASES)
