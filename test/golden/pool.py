# Writes pool.json beside it: outputs and gradients of pooling and up-sampling layers, from PyTorch in float64, with the
# error that PyTorch itself makes in float32. Images are channels-last in the file. Run with Debian's python3-torch:
# /usr/bin/python3 pool.py
import itertools
import json
import pathlib

import torch
from torch import nn


def numbers(generator, shape):
    """Short decimals, as float32: some are equal."""
    return ((torch.randn(shape, generator=generator) * 100).round() / 100).double()


def last(x):
    """[batch, channels, …] to [batch, …, channels]."""
    return x.movedim(1, -1) if x.dim() > 2 else x


def first(x):
    return x.movedim(-1, 1) if x.dim() > 2 else x


def listed(x):
    return [float(f"{value:.10g}") for value in x.detach().flatten().tolist()]


def run(f, inputs, upstream, dtype):
    """The output and all gradients of inputs, in float64."""
    leaves = {name: value.detach().to(dtype, copy=True).requires_grad_() for name, value in inputs.items()}
    y = f(**leaves)
    y.backward(upstream.to(dtype))
    gradients = {f"d{name}": leaf.grad.double() for name, leaf in leaves.items()}
    return {"y": y.detach().double()} | gradients


def case(generator, layer, arguments, shape, f, parameters=None, extra=None):
    """`f` takes x (channels-last) and the parameters; lines are the output and the gradients."""
    inputs = {"x": numbers(generator, shape)} | (parameters or {})
    with torch.no_grad():
        upstream = numbers(generator, f(**inputs).shape)
    exact = run(f, inputs, upstream, torch.float64)
    single = run(f, inputs, upstream, torch.float32)
    scale = {name: value.abs().max().clamp(min=1e-30) for name, value in exact.items()}
    errors = {name: ((single[name] - exact[name]).abs().max() / scale[name]).item() for name in exact}
    return {
        "layer": layer,
        "arguments": arguments,
        "shape": list(shape),
        "inputs": {name: [float(f"{v:.9g}") for v in value.flatten().tolist()] for name, value in inputs.items()},
        "upstream": [float(f"{v:.9g}") for v in upstream.flatten().tolist()],
        "outputShape": list(exact["y"].shape),
        "exact": {name: listed(value) for name, value in exact.items()},
        "float32Error": {name: float(f"{error:.2g}") for name, error in errors.items()},
    } | (extra or {})


def write(name, cases, script, more=""):
    """One case a line."""
    source = json.dumps(f"PyTorch {torch.__version__}, float64, by test/golden/{script}")
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases)
    path = pathlib.Path(__file__).with_name(name)
    path.write_text(f'{{"source":{source},{more}"cases":[\n{lines}\n]}}\n')
    print(f"{len(cases)} cases, {path.stat().st_size} bytes")


MAX, AVERAGE = nn.MaxPool2d, nn.AvgPool2d
IMAGE = (2, 6, 7, 3)

# layer, arguments, shape, module
POOLS = [
    ("maxPool2d", [2, {}], IMAGE, MAX(2)),
    ("maxPool2d", [2, {}], (2, 6, 8, 1), MAX(2)),
    ("maxPool2d", [2, {}], (1, 4, 4, 8), MAX(2)),
    ("maxPool2d", [[3, 2], {}], IMAGE, MAX((3, 2))),
    ("maxPool2d", [3, {"stride": 1}], IMAGE, MAX(3, 1)),
    ("maxPool2d", [3, {"stride": 2, "padding": 1}], IMAGE, MAX(3, 2, 1)),
    ("maxPool2d", [3, {"stride": [2, 1], "padding": [1, 0]}], IMAGE, MAX(3, (2, 1), (1, 0))),
    ("maxPool2d", [2, {"dilation": 2}], IMAGE, MAX(2, dilation=2)),
    ("maxPool2d", [3, {"stride": 2, "dilation": [1, 2], "padding": 1}], (2, 7, 8, 4), MAX(3, 2, 1, (1, 2))),
    ("maxPool2d", [2, {"ceilMode": True}], (1, 5, 7, 4), MAX(2, ceil_mode=True)),
    ("maxPool2d", [3, {"stride": 3, "padding": 1, "ceilMode": True}], (1, 6, 8, 5), MAX(3, 3, 1, ceil_mode=True)),
    ("maxPool1d", [2, {}], (2, 9, 4), nn.MaxPool1d(2)),
    ("maxPool1d", [3, {"stride": 2, "padding": 1}], (2, 9, 5), nn.MaxPool1d(3, 2, 1)),
    ("maxPool1d", [2, {"dilation": 3, "ceilMode": True}], (1, 10, 3), nn.MaxPool1d(2, dilation=3, ceil_mode=True)),
    ("averagePool2d", [2, {}], IMAGE, AVERAGE(2)),
    ("averagePool2d", [3, {"stride": 2, "padding": 1}], IMAGE, AVERAGE(3, 2, 1)),
    ("averagePool2d", [3, {"stride": 2, "padding": 1, "countIncludePad": False}], IMAGE,
     AVERAGE(3, 2, 1, count_include_pad=False)),
    ("averagePool2d", [[2, 3], {"stride": [1, 2], "padding": [1, 0]}], IMAGE, AVERAGE((2, 3), (1, 2), (1, 0))),
    ("averagePool2d", [2, {"ceilMode": True}], (1, 5, 7, 4), AVERAGE(2, ceil_mode=True)),
    ("averagePool2d", [3, {"stride": 2, "padding": 1, "ceilMode": True}], (1, 6, 8, 5), AVERAGE(3, 2, 1, ceil_mode=True)),
    ("averagePool2d", [3, {"stride": 2, "padding": 1, "ceilMode": True, "countIncludePad": False}], (1, 6, 8, 5),
     AVERAGE(3, 2, 1, ceil_mode=True, count_include_pad=False)),
    ("averagePool1d", [4, {}], (2, 9, 4), nn.AvgPool1d(4)),
    ("averagePool1d", [3, {"stride": 1, "padding": 1}], (2, 7, 5), nn.AvgPool1d(3, 1, 1)),
    ("adaptiveMaxPool2d", [[3, 2]], IMAGE, nn.AdaptiveMaxPool2d((3, 2))),
    ("adaptiveMaxPool2d", [4], (1, 7, 3, 4), nn.AdaptiveMaxPool2d(4)),
    ("adaptiveMaxPool1d", [3], (2, 8, 5), nn.AdaptiveMaxPool1d(3)),
    ("adaptiveAveragePool2d", [[4, 3]], IMAGE, nn.AdaptiveAvgPool2d((4, 3))),
    ("adaptiveAveragePool2d", [5], (1, 3, 8, 4), nn.AdaptiveAvgPool2d(5)),
    ("adaptiveAveragePool1d", [4], (2, 9, 3), nn.AdaptiveAvgPool1d(4)),
    ("globalAveragePool", [{"keepDims": True}], IMAGE, nn.AdaptiveAvgPool2d(1)),
    ("globalMaxPool", [{"keepDims": True}], IMAGE, nn.AdaptiveMaxPool2d(1)),
    ("upsample2d", [{"scale": 2}], (2, 3, 4, 3), nn.Upsample(scale_factor=2)),
    ("upsample2d", [{"scale": [3, 2]}], (1, 2, 3, 5), nn.Upsample(scale_factor=(3, 2))),
    ("upsample2d", [{"size": [5, 7]}], (1, 3, 4, 4), nn.Upsample(size=(5, 7))),
    ("upsample2d", [{"size": [2, 3]}], (1, 5, 4, 4), nn.Upsample(size=(2, 3))),
    ("upsample2d", [{"scale": 2, "mode": "bilinear"}], (2, 3, 4, 3), nn.Upsample(scale_factor=2, mode="bilinear")),
    ("upsample2d", [{"size": [5, 7], "mode": "bilinear"}], (1, 3, 4, 4), nn.Upsample(size=(5, 7), mode="bilinear")),
    ("upsample2d", [{"size": [2, 3], "mode": "bilinear"}], (1, 5, 4, 4), nn.Upsample(size=(2, 3), mode="bilinear")),
    ("upsample2d", [{"size": [7, 5], "mode": "bilinear", "alignCorners": True}], (1, 3, 4, 4),
     nn.Upsample(size=(7, 5), mode="bilinear", align_corners=True)),
    ("upsample1d", [{"scale": 3}], (2, 4, 3), nn.Upsample(scale_factor=3)),
    ("upsample1d", [{"scale": 2, "mode": "linear"}], (2, 5, 3), nn.Upsample(scale_factor=2, mode="linear")),
    ("upsample1d", [{"size": 9, "mode": "linear", "alignCorners": True}], (2, 4, 5),
     nn.Upsample(size=9, mode="linear", align_corners=True)),
    # Windows larger than the image.
    ("maxPool2d", [3, {"stride": 2, "ceilMode": True}], (1, 2, 2, 1), MAX(3, 2, ceil_mode=True)),
    ("maxPool2d", [[4, 3], {"stride": [3, 2], "ceilMode": True}], (2, 2, 5, 4), MAX((4, 3), (3, 2), ceil_mode=True)),
    ("maxPool2d", [5, {"padding": 1, "ceilMode": True}], (2, 1, 2, 3), MAX(5, padding=1, ceil_mode=True)),
    ("maxPool1d", [4, {"stride": 3, "ceilMode": True}], (2, 2, 5), nn.MaxPool1d(4, 3, ceil_mode=True)),
    ("maxPool1d", [2, {"dilation": 3, "stride": 3, "ceilMode": True}], (1, 2, 3),
     nn.MaxPool1d(2, 3, dilation=3, ceil_mode=True)),
    ("averagePool2d", [3, {"stride": 2, "ceilMode": True}], (1, 2, 2, 1), AVERAGE(3, 2, ceil_mode=True)),
    ("averagePool2d", [5, {"padding": 1, "ceilMode": True}], (2, 1, 2, 3), AVERAGE(5, padding=1, ceil_mode=True)),
    ("averagePool2d", [5, {"padding": 1, "ceilMode": True, "countIncludePad": False}], (2, 1, 2, 4),
     AVERAGE(5, padding=1, ceil_mode=True, count_include_pad=False)),
    ("averagePool1d", [4, {"stride": 3, "ceilMode": True}], (2, 2, 5), nn.AvgPool1d(4, 3, ceil_mode=True)),
]


def sizes():
    """[size, window, stride, padding, dilation, windows, windows with ceil_mode], 0 where PyTorch refuses."""

    def count(size, window, stride, padding, dilation, ceil):
        try:
            return nn.MaxPool1d(window, stride, padding, dilation, ceil_mode=ceil)(torch.zeros(1, 1, size)).shape[-1]
        except RuntimeError:
            return 0

    grid = itertools.product(range(1, 6), range(1, 7), range(1, 5), range(0, 3), (1, 2))
    fitting = [(size, window, *rest, dilation) for size, window, *rest, dilation in grid if rest[1] <= window // 2]
    return [[*one, count(*one, False), count(*one, True)] for one in fitting]


if __name__ == "__main__":
    source = torch.Generator().manual_seed(5)
    write(
        "pool.json",
        [
            case(source, layer, arguments, shape, lambda x, module=module: last(module(first(x))))
            for layer, arguments, shape, module in POOLS
        ],
        "pool.py",
        f'"sizes":{json.dumps(sizes(), separators=(",", ":"))},\n',
    )
