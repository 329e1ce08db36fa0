# Writes layers.json beside it: layers of two tensors, slopes of any shape, local response normalization and dense layers on
# samples of several axes, and trainings of normalization layers by their kind of statistics; from PyTorch in float64, with the
# error that PyTorch itself makes in float32. Run with Debian's python3-torch: /usr/bin/python3 layers.py
import torch
import torch.nn.functional as F
from torch import nn
from pool import case, first, last, listed, numbers, run, write


def short(value):
    return [float(f"{v:.9g}") for v in value.flatten().tolist()]


def pair(generator, layer, arguments, a, b, f, parameters=None):
    """As `case`, of two tensors."""
    inputs = {"a": numbers(generator, a), "b": numbers(generator, b)} | {
        name: numbers(generator, size) for name, size in (parameters or {}).items()
    }
    with torch.no_grad():
        upstream = numbers(generator, f(**inputs).shape)
    exact = run(f, inputs, upstream, torch.float64)
    single = run(f, inputs, upstream, torch.float32)
    errors = {
        name: ((single[name] - value).abs().max() / value.abs().max().clamp(min=1e-30)).item()
        for name, value in exact.items()
    }
    return {
        "layer": layer,
        "arguments": arguments,
        "shape": {"a": list(a), "b": list(b)},
        "inputs": {name: short(value) for name, value in inputs.items()},
        "upstream": short(upstream),
        "outputShape": list(exact["y"].shape),
        "exact": {name: listed(value) for name, value in exact.items()},
        "float32Error": {name: float(f"{error:.2g}") for name, error in errors.items()},
    }


def pairs(generator):
    bilinear = lambda a, b, weight, bias=None: F.bilinear(a, b, weight.permute(2, 0, 1).contiguous(), bias)
    for shape_a, shape_b, units in [((4, 3), (4, 5), 2), ((3, 1), (3, 7), 4), ((2, 5, 3), (2, 5, 4), 6), ((2, 3, 2, 8), (2, 3, 2, 3), 1)]:
        weight = (shape_a[-1], shape_b[-1], units)
        yield pair(generator, "bilinear", [units, {}], shape_a, shape_b, bilinear, {"weight": weight, "bias": (units,)})
        yield pair(generator, "bilinear", [units, {"bias": False}], shape_a, shape_b, bilinear, {"weight": weight})
    for shape, options, axis in [((4, 3), {}, -1), ((2, 5, 8), {}, -1), ((2, 5, 3), {"axis": 1}, 1), ((3, 4, 5), {"axis": -2, "epsilon": 1e-3}, -2)]:
        epsilon = options.get("epsilon", 1e-8)
        f = lambda a, b, axis=axis, epsilon=epsilon: F.cosine_similarity(a, b, axis, epsilon)
        yield pair(generator, "cosineSimilarity", [options], shape, shape, f)
    yield pair(generator, "cosineSimilarity", [{}], (3, 1, 4), (3, 5, 4), lambda a, b: F.cosine_similarity(a, b, -1))
    for shape, options in [((4, 3), {}), ((2, 5, 8), {}), ((3, 7), {"p": 1}), ((3, 7), {"p": 3}), ((2, 3, 4), {"keepDims": True}), ((4, 2), {"epsilon": 0.1})]:
        p, epsilon, keep = options.get("p", 2), options.get("epsilon", 1e-6), options.get("keepDims", False)
        f = lambda a, b, p=p, epsilon=epsilon, keep=keep: F.pairwise_distance(a, b, p, epsilon, keep)
        yield pair(generator, "pairwiseDistance", [options], shape, shape, f)


def singles(generator):
    for shape, size in [((3, 4, 5), (4, 5)), ((3, 4, 5), (1, 5)), ((3, 4, 5), (4, 1)), ((2, 3, 4, 6), (1, 1, 6)), ((2, 3, 4, 6), (3, 4, 1)), ((2, 3, 4, 6), (4, 6)), ((5, 7), (1,))]:
        f = lambda x, weight: torch.where(x > 0, x, weight * x)
        yield case(generator, "prelu", [{"weightShape": list(size)}], shape, f, {"weight": numbers(generator, size)})
    for shape, size, options in [((2, 3, 4, 8), 5, {}), ((2, 3, 5, 6), 2, {"alpha": 0.5, "beta": 0.5, "k": 2}), ((4, 7, 3), 4, {"alpha": 0.1})]:
        alpha, beta, k = options.get("alpha", 1e-4), options.get("beta", 0.75), options.get("k", 1.0)
        f = lambda x, size=size, alpha=alpha, beta=beta, k=k: last(F.local_response_norm(first(x), size, alpha, beta, k))
        yield case(generator, "localResponseNorm", [size, options], shape, f)
    for shape, units in [((2, 3, 5), 4), ((1, 4, 7), 3), ((2, 3, 2, 6), 8), ((3, 2, 2, 2, 5), 2)]:
        weight, bias = numbers(generator, (shape[-1], units)), numbers(generator, (units,))
        f = lambda x, weight, bias: F.linear(x, weight.T, bias)
        yield case(generator, "dense", [units, {}], shape, f, {"weight": weight, "bias": bias})
        yield case(generator, "dense", [units, {"bias": False}], shape, lambda x, weight: F.linear(x, weight.T), {"weight": weight})


STEPS = 4


def training(generator, layer, options, shape, module):
    """Some steps of gradient descent on the squared error to fixed targets, of another batch each, then a prediction."""
    module = module.double()
    names = {"runningMean": "running_mean", "runningVariance": "running_var"}
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    batches = [(numbers(generator, shape), numbers(generator, shape)) for _ in range(STEPS)]
    losses, buffers = [], []
    for x, y in batches:
        loss = F.mse_loss(last(module(first(x))), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        kept = {ours: getattr(module, theirs) for ours, theirs in names.items()}
        buffers.append({name: listed(value) for name, value in kept.items() if value is not None})
    module.eval()
    x = numbers(generator, shape)
    with torch.no_grad():
        predicted = last(module(first(x)))
    return {
        "layer": layer,
        "options": options,
        "shape": list(shape),
        "batches": [{"x": short(x), "y": short(y)} for x, y in batches],
        "losses": losses,
        "buffers": buffers,
        "parameters": {"weight": listed(module.weight), "bias": listed(module.bias)},
        "x": short(x),
        "predicted": listed(predicted),
    }


def trainings(generator):
    for shape, kind in [((6, 3), nn.BatchNorm1d), ((2, 4, 3), nn.BatchNorm1d), ((2, 3, 2, 5), nn.BatchNorm2d)]:
        size = shape[-1]
        for options, given in [
            ({}, {}),
            ({"statistics": "running", "momentum": 0.3}, {"momentum": 0.3}),
            ({"statistics": "cumulative"}, {"momentum": None}),
            ({"statistics": "none"}, {"track_running_stats": False}),
        ]:
            yield training(generator, "batchNorm", options, shape, kind(size, **given))
    for shape, kind in [((2, 4, 3), nn.InstanceNorm1d), ((3, 3, 2, 5), nn.InstanceNorm2d)]:
        size = shape[-1]
        for options, given in [
            ({"affine": True}, {}),
            ({"affine": True, "statistics": "running"}, {"track_running_stats": True}),
            ({"affine": True, "statistics": "running", "momentum": 0.4}, {"track_running_stats": True, "momentum": 0.4}),
        ]:
            yield training(generator, "instanceNorm", options, shape, kind(size, affine=True, **given))


if __name__ == "__main__":
    import json

    source = torch.Generator().manual_seed(11)
    cases = [*pairs(source), *singles(source)]
    more = json.dumps([*trainings(source)], separators=(",", ":"))
    write("layers.json", cases, "layers.py", f'"trainings":{more},')
