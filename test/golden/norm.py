# Writes norm.json beside it: outputs and gradients of normalization layers, from PyTorch in float64, with the error that
# PyTorch itself makes in float32. Run with Debian's python3-torch: /usr/bin/python3 norm.py
import torch
import torch.nn.functional as F
from pool import case, first, last, listed, numbers, write


def batch_norm(generator, arguments, shape, training, affine=True, momentum=0.1, epsilon=1e-5):
    channels = shape[-1]
    mean = numbers(generator, (channels,))
    variance = numbers(generator, (channels,)).abs() + 0.5
    after = [mean.clone(), variance.clone()]

    def f(x, weight=None, bias=None):
        running = [mean.to(x.dtype, copy=True), variance.to(x.dtype, copy=True)]
        y = F.batch_norm(first(x), *running, weight, bias, training, momentum, epsilon)
        if x.dtype == torch.float64:
            after[:] = running
        return last(y)

    parameters = {name: numbers(generator, (channels,)) for name in ["weight", "bias"]} if affine else {}
    one = case(generator, "batchNorm", arguments, shape, f, parameters, {"training": training})
    before = {"runningMean": [float(f"{v:.9g}") for v in mean.tolist()], "runningVariance": [float(f"{v:.9g}") for v in variance.tolist()]}
    updated = {"runningMean": listed(after[0]), "runningVariance": listed(after[1])}
    return one | {"buffers": before} | ({"updated": updated} if training else {})


def parametrized(generator, layer, arguments, shape, parameters, f):
    values = {name: numbers(generator, size) for name, size in parameters.items()}
    return case(generator, layer, arguments, shape, f, values)


def rms_norm(x, weight=None, axes=1, epsilon=2**-23):
    over = tuple(range(-axes, 0))
    y = x / torch.sqrt((x * x).mean(over, keepdim=True) + epsilon)
    return y if weight is None else y * weight


def record():
    source = torch.Generator().manual_seed(6)
    both = lambda size: {"weight": size, "bias": size}
    cases = []
    for shape in [(4, 3), (5, 8), (2, 5, 3), (2, 3, 4, 5), (3, 2, 3, 16), (2, 4, 4, 1)]:
        cases.append(batch_norm(source, [{}], shape, True))
        cases.append(batch_norm(source, [{}], shape, False))
    cases.append(batch_norm(source, [{"affine": False}], (2, 3, 3, 4), True, affine=False))
    cases.append(batch_norm(source, [{"momentum": 0.5, "epsilon": 0.01}], (2, 3, 3, 4), True, momentum=0.5, epsilon=0.01))
    for shape in [(4, 3), (3, 8), (2, 5, 7), (2, 3, 4, 5)]:
        size = shape[-1:]
        f = lambda x, weight, bias, size=size: F.layer_norm(x, size, weight, bias)
        cases.append(parametrized(source, "layerNorm", [{}], shape, both(size), f))
    f = lambda x, weight, bias: F.layer_norm(x, (4, 5), weight, bias)
    cases.append(parametrized(source, "layerNorm", [{"axes": 2}], (3, 4, 5), both((4, 5)), f))
    f = lambda x: F.layer_norm(x, (6,), eps=0.1)
    cases.append(parametrized(source, "layerNorm", [{"affine": False, "epsilon": 0.1}], (3, 6), {}, f))
    for shape, groups in [((3, 8), 2), ((2, 5, 6), 3), ((2, 3, 4, 6), 2), ((2, 3, 4, 6), 6), ((2, 3, 3, 4), 1)]:
        f = lambda x, weight, bias, groups=groups: last(F.group_norm(first(x), groups, weight, bias))
        cases.append(parametrized(source, "groupNorm", [groups, {}], shape, both(shape[-1:]), f))
    f = lambda x: last(F.group_norm(first(x), 2, eps=1e-3))
    cases.append(parametrized(source, "groupNorm", [2, {"affine": False, "epsilon": 1e-3}], (2, 4, 4), {}, f))
    for shape in [(2, 5, 3), (2, 3, 4, 5)]:
        cases.append(parametrized(source, "instanceNorm", [{}], shape, {}, lambda x: last(F.instance_norm(first(x)))))
    f = lambda x, weight, bias: last(F.instance_norm(first(x), weight=weight, bias=bias))
    cases.append(parametrized(source, "instanceNorm", [{"affine": True}], (2, 3, 4, 5), both((5,)), f))
    cases.append(parametrized(source, "rmsNorm", [{}], (4, 7), {"weight": (7,)}, rms_norm))
    f = lambda x, weight: rms_norm(x, weight, 2, 1e-3)
    cases.append(parametrized(source, "rmsNorm", [{"axes": 2, "epsilon": 1e-3}], (2, 3, 4), {"weight": (3, 4)}, f))
    cases.append(parametrized(source, "l2Normalize", [{}], (3, 7), {}, lambda x: F.normalize(x, dim=-1)))
    cases.append(parametrized(source, "l2Normalize", [{"axis": 1}], (2, 4, 3), {}, lambda x: F.normalize(x, dim=1)))
    return cases


if __name__ == "__main__":
    write("norm.json", record(), "norm.py")
