# Writes conv.json beside it: outputs and gradients of convolution layers, from PyTorch in float64, for inputs that are
# float32 numbers (the nearest to the decimals recorded), and how far PyTorch's own float32 results are from them.
# Layouts are PyTorch's (channels before sizes). Run with Debian's python3-torch: /usr/bin/python3 conv.py
import json
import pathlib

import torch
import torch.nn.functional as F

CONVOLUTIONS = [
    # inputs [batch, channels, ...sizes], filters, window, options
    ([2, 1, 6, 7], 3, [3, 3], {}),
    ([1, 3, 5, 5], 4, [1, 1], {}),
    ([2, 4, 4, 3], 5, [1, 1], {"stride": 2}),
    ([1, 3, 7, 5], 8, [3, 2], {"padding": 1}),
    ([1, 2, 5, 6], 3, [3, 3], {"padding": "same"}),
    ([1, 2, 5, 6], 3, [4, 2], {"padding": "same"}),
    ([1, 2, 5, 6], 3, [3, 3], {"padding": "same", "dilation": 2}),
    ([2, 3, 7, 8], 4, [3, 3], {"stride": 2, "padding": 1}),
    ([1, 3, 8, 9], 4, [3, 3], {"stride": [2, 3], "padding": [1, 0]}),
    ([1, 2, 9, 8], 3, [3, 3], {"dilation": 2}),
    ([1, 2, 9, 9], 3, [2, 3], {"dilation": [3, 2], "stride": [2, 1], "padding": [2, 1]}),
    ([1, 4, 5, 5], 6, [3, 3], {"groups": 2}),
    ([1, 6, 5, 4], 6, [3, 3], {"groups": 6, "padding": 1}),
    ([1, 4, 5, 5], 8, [3, 2], {"groups": 4, "stride": 2, "padding": 1}),
    ([1, 9, 4, 4], 3, [2, 2], {"groups": 3, "bias": False}),
    ([1, 8, 4, 4], 16, [3, 3], {"padding": 1}),
    ([1, 17, 3, 4], 9, [2, 2], {}),
    ([3, 5, 3, 3], 7, [3, 3], {}),
    ([1, 1, 12, 5], 2, [5, 5], {"padding": 2}),
    ([1, 3, 4, 4], 2, [2, 2], {"padding": 3, "stride": 3}),
    ([2, 3, 9], 4, [3], {}),
    ([1, 4, 12], 5, [5], {"stride": 2, "padding": 2}),
    ([2, 3, 10], 4, [3], {"dilation": 3, "padding": "same"}),
    ([1, 6, 9], 4, [4], {"groups": 2, "stride": 3}),
    ([2, 5, 8], 5, [3], {"groups": 5, "padding": 1}),
    ([1, 3, 9], 4, [3], {"padding": "causal"}),
    ([1, 3, 9], 4, [2], {"padding": "causal", "dilation": 4}),
]

TRANSPOSED = [
    ([2, 3, 4, 3], 2, [3, 3], {}),
    ([1, 3, 3, 4], 4, [2, 2], {"stride": 2}),
    ([1, 4, 3, 3], 3, [4, 4], {"stride": 2, "padding": 1}),
    ([1, 4, 3, 3], 3, [3, 3], {"stride": 2, "padding": 1, "outputPadding": 1}),
    ([1, 4, 3, 3], 3, [3, 2], {"stride": [3, 2], "padding": [1, 0], "outputPadding": [2, 1]}),
    ([1, 3, 4, 4], 5, [3, 3], {"dilation": 2, "padding": 1}),
    ([1, 2, 3, 3], 3, [2, 2], {"stride": 3, "bias": False}),
    ([1, 2, 3, 3], 3, [2, 2], {"stride": 2, "dilation": 3, "outputPadding": 2}),
    ([1, 6, 3, 3], 4, [3, 3], {"groups": 2, "stride": 2}),
    ([1, 5, 4, 3], 5, [3, 3], {"groups": 5, "padding": 1}),
    ([1, 16, 3, 2], 9, [3, 3], {"stride": 2}),
    ([2, 3, 5], 4, [3], {}),
    ([1, 4, 6], 3, [4], {"stride": 2, "padding": 1}),
    ([1, 4, 5], 6, [3], {"groups": 2, "stride": 3, "outputPadding": 2}),
    ([1, 3, 5], 2, [3], {"dilation": 2, "padding": 2}),
]

SEPARABLE = [
    ([1, 3, 6, 5], 4, [3, 3], {}),
    ([2, 4, 5, 5], 5, [3, 3], {"padding": "same", "multiplier": 2}),
    ([1, 3, 7, 7], 6, [3, 2], {"stride": 2, "padding": 1}),
    ([1, 5, 9], 4, [3], {"multiplier": 3, "dilation": 2}),
]


# As the others, but with their kind: what the padding is made of, volumes, sizes of outputs.
MORE = [
    ("conv", [2, 3, 9], 4, [3], {"padding": 2, "paddingMode": "reflect"}),
    ("conv", [1, 3, 8], 4, [4], {"padding": [3, 1], "paddingMode": "circular", "stride": 2}),
    ("conv", [1, 3, 9], 4, [3], {"padding": "causal", "paddingMode": "replicate", "dilation": 2}),
    ("conv", [1, 2, 5, 6], 3, [3, 3], {"padding": 2, "paddingMode": "reflect"}),
    ("conv", [2, 3, 5, 4], 4, [3, 3], {"padding": [2, 1], "paddingMode": "replicate", "stride": [2, 1]}),
    ("conv", [1, 4, 4, 5], 6, [3, 2], {"padding": "same", "paddingMode": "circular", "groups": 2, "dilation": 2}),
    ("conv", [1, 2, 4, 3, 5], 3, [3, 3, 3], {"padding": 1, "paddingMode": "reflect"}),
    ("conv", [1, 2, 4, 3, 4], 3, [3, 2, 3], {"padding": [2, 0, 1], "paddingMode": "circular", "stride": [1, 2, 1]}),
    ("separableConv", [1, 3, 6, 5], 4, [3, 3], {"padding": 1, "paddingMode": "reflect", "multiplier": 2}),
    ("separableConv", [2, 3, 7], 4, [3], {"padding": "same", "paddingMode": "replicate"}),
    ("convTranspose", [1, 3, 2, 3, 2], 4, [2, 3, 2], {"stride": 2}),
    ("convTranspose", [1, 4, 2, 3, 3], 2, [3, 3, 2], {"stride": [3, 2, 1], "padding": [1, 0, 1], "groups": 2}),
    ("convTranspose", [1, 2, 3, 2, 2], 3, [2, 2, 2], {"stride": 2, "outputPadding": [1, 0, 1], "bias": False}),
    ("convTranspose", [1, 2, 3, 2, 3], 3, [2, 2, 2], {"stride": 2, "outputSize": [6, 5, 7]}),
    ("convTranspose", [1, 3, 4, 4], 2, [3, 3], {"stride": 3, "padding": 1, "outputSize": [10, 12]}),
    ("convTranspose", [2, 3, 5], 2, [4], {"stride": 3, "outputSize": [18]}),
    # Large enough for Winograd's minimal filtering, of sizes and channels that do not divide by four.
    ("conv", [1, 16, 11, 12], 17, [3, 3], {"padding": 1}),
    ("conv", [1, 18, 13, 13], 16, [3, 3], {"padding": [2, 0], "bias": False}),
    ("conv", [1, 16, 12, 10], 16, [3, 3], {"padding": 1, "paddingMode": "reflect"}),
    ("convTranspose", [1, 16, 11, 11], 16, [3, 3], {"padding": 1}),
]

def torch_options(options):
    names = {"stride": "stride", "padding": "padding", "dilation": "dilation", "groups": "groups"}
    names["outputPadding"] = "output_padding"
    return {names[key]: value for key, value in options.items() if key in names}


def sides(options, window):
    """The padding before and after each axis."""
    padding = options.get("padding", 0)
    dilation = options.get("dilation", 1)
    if padding == "causal":
        return [(dilation * (window[0] - 1), 0)]
    if padding == "same":
        return [(dilation * (size - 1) // 2, dilation * (size - 1) - dilation * (size - 1) // 2) for size in window]
    if len(window) == 1 and isinstance(padding, list):
        return [tuple(padding)]
    return [(one, one) for one in (padding if isinstance(padding, list) else [padding] * len(window))]


def convolve(options, window, x, weight, bias=None):
    convolution = [F.conv1d, F.conv2d, F.conv3d][len(window) - 1]
    if "paddingMode" in options:
        flat = [side for pair in reversed(sides(options, window)) for side in pair]
        x = F.pad(x, flat, mode=options["paddingMode"])
        options = {**options, "padding": 0}
    options = torch_options(options)
    if options.get("padding") == "causal":
        x = F.pad(x, (options.get("dilation", 1) * (window[0] - 1), 0))
        options = {**options, "padding": 0}
    return convolution(x, weight, bias, **options)


def transpose(options, window, x, weight, bias=None):
    convolution = [F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d][len(window) - 1]
    options = {**options}
    if "outputSize" in options:
        y = convolution(x, weight, bias, **torch_options(options))
        options["outputPadding"] = [asked - size for asked, size in zip(options["outputSize"], y.shape[2:])]
    return convolution(x, weight, bias, **torch_options(options))


def separate(options, window, x, depthwise, pointwise, bias=None):
    y = convolve({**options, "groups": x.shape[1]}, window, x, depthwise)
    return convolve({}, [1] * len(window), y, pointwise, bias)


def parameters_of(kind, inputs, filters, window, options):
    channels, groups = inputs[1], options.get("groups", 1)
    bias = {"bias": [filters]} if options.get("bias", True) else {}
    if kind == "convTranspose":
        return {"weight": [channels, filters // groups, *window], **bias}
    if kind == "separableConv":
        between = channels * options.get("multiplier", 1)
        shapes = {"depthwiseWeight": [between, 1, *window], "pointwiseWeight": [filters, between, *[1] * len(window)]}
        return {**shapes, **bias}
    return {"weight": [filters, channels // groups, *window], **bias}


FUNCTIONS = {"conv": convolve, "convTranspose": transpose, "separableConv": separate}


def random(shape, generator):
    """Float32 numbers nearest to three decimals, which take little room in a file."""
    return (torch.randint(-2000, 2001, shape, generator=generator).double() / 1000).float().double()


def listed(tensor, digits):
    return [float(f"{value:.{digits}g}") for value in tensor.flatten().tolist()]


def lines(kind, options, window, tensors, upstream, dtype):
    """Output and gradients, by name, in `dtype`."""
    leaves = {name: value.clone().to(dtype).requires_grad_() for name, value in tensors.items()}
    y = FUNCTIONS[kind](options, window, *leaves.values())
    if upstream is None:
        return y
    y.backward(upstream.to(dtype))
    return {"output": y.detach(), **{name: leaf.grad for name, leaf in leaves.items()}}


def record_case(kind, inputs, filters, window, options, generator):
    shapes = {"input": inputs, **parameters_of(kind, inputs, filters, window, options)}
    tensors = {name: random(shape, generator) for name, shape in shapes.items()}
    upstream = random(lines(kind, options, window, tensors, None, torch.float64).shape, generator)
    exact = lines(kind, options, window, tensors, upstream, torch.float64)
    single = lines(kind, options, window, tensors, upstream, torch.float32)
    case = {"layer": f"{kind}{len(window)}d", "filters": filters, "window": window, "options": options}
    case["given"] = {name: {"shape": list(t.shape), "values": listed(t, 5)} for name, t in tensors.items()}
    case["upstream"] = listed(upstream, 5)
    case["expected"] = {
        name: {
            "shape": list(value.shape),
            "values": listed(value, 10),
            # Largest error of PyTorch's float32, of the largest number.
            "error": listed((single[name].double() - value).abs().max() / value.abs().max(), 3)[0],
        }
        for name, value in exact.items()
    }
    return case


def record():
    generator = torch.Generator().manual_seed(5)
    tables = {"conv": CONVOLUTIONS, "convTranspose": TRANSPOSED, "separableConv": SEPARABLE}
    cases = [
        record_case(kind, inputs, filters, window, options, generator)
        for kind, table in tables.items()
        for inputs, filters, window, options in table
    ]
    cases += [record_case(*one, generator) for one in MORE]
    return {"source": f"PyTorch {torch.__version__}, float64, by test/golden/conv.py", "cases": cases}


def write(data):
    """A case a line."""
    cases = ",\n".join(json.dumps(case, separators=(",", ":")) for case in data["cases"])
    text = f'{{"source": "{data["source"]}", "cases": [\n{cases}\n]}}\n'
    pathlib.Path(__file__).with_name("conv.json").write_text(text)


if __name__ == "__main__":
    write(record())
