# Writes attention.json beside it: outputs and gradients of embeddings, attention and transformers' blocks, from PyTorch in
# float64, with the error that PyTorch itself makes in float32. Weights are transposed, [inputs, outputs], as they are here.
# Run with Debian's python3-torch: /usr/bin/python3 attention.py
import itertools
import math

import torch
import torch.nn.functional as F
from pool import listed, numbers, run, write
from torch import nn


def case(generator, layer, arguments, inputs, f, extra=None):
    """`f` takes tensors by name; those of `inputs` get gradients, those of `extra["fixed"]` do not."""
    with torch.no_grad():
        upstream = numbers(generator, f(**inputs).shape)
    exact = run(f, inputs, upstream, torch.float64)
    single = run(f, inputs, upstream, torch.float32)
    scale = {name: value.abs().max().clamp(min=1e-30) for name, value in exact.items()}
    errors = {name: ((single[name] - exact[name]).abs().max() / scale[name]).item() for name in exact}
    short = lambda x: [float(f"{v:.9g}") for v in x.flatten().tolist()]
    return {
        "layer": layer,
        "arguments": arguments,
        "shapes": {name: list(value.shape) for name, value in inputs.items()},
        "inputs": {name: short(value) for name, value in inputs.items()},
        "upstream": short(upstream),
        "outputShape": list(exact["y"].shape),
        "exact": {name: listed(value) for name, value in exact.items()},
        "float32Error": {name: float(f"{error:.2g}") for name, error in errors.items()},
    } | (extra or {})


def embeddings(generator):
    for padding, shape, features in itertools.product([None, 0, 3], [(4,), (2, 5), (2, 3, 2)], [1, 6]):
        tokens = torch.randint(0, 7, shape, generator=generator)
        weight = numbers(generator, (7, features))
        if padding is not None:
            weight[padding] = 0
        arguments = [7, features] + ([] if padding is None else [{"paddingIndex": padding}])
        f = lambda weight: F.embedding(tokens, weight, padding_idx=padding)
        yield case(generator, "embedding", arguments, {"weight": weight}, f, {"tokens": tokens.flatten().tolist(), "tokensShape": list(shape)})


def lengths_mask(lengths, keys):
    return torch.arange(keys)[None, :] >= torch.tensor(lengths)[:, None]


def products(q, k, v, heads, bias=None, padding=None, scale=None):
    """By hand; a row that sees nothing gives zeros."""
    split = lambda x: x.unflatten(2, (-1, q.shape[2] // heads)).transpose(1, 2)
    q, k = split(q), split(k)
    v = v.unflatten(2, (k.shape[1], -1)).transpose(1, 2)
    k, v = (x.repeat_interleave(heads // x.shape[1], 1) for x in (k, v))
    scores = q @ k.transpose(2, 3) * (q.shape[3] ** -0.5 if scale is None else scale)
    if bias is not None:
        scores = scores + bias.to(scores.dtype)
    if padding is not None:
        scores = scores.masked_fill(padding[:, None, None, :], -math.inf)
    hidden = (scores == -math.inf).all(-1, keepdim=True)
    weights = torch.softmax(scores.masked_fill(hidden, 0), -1).masked_fill(hidden, 0)
    return (weights @ v).transpose(1, 2).flatten(2)


def by_hand(generator):
    infinite = lambda hidden: torch.zeros(hidden.shape, dtype=torch.float64).masked_fill(hidden, -math.inf)
    causal = lambda n, m: infinite(torch.ones(n, m, dtype=torch.bool).triu(1))
    far = lambda n, m: (torch.arange(n)[:, None] - torch.arange(m)[None, :]).double()
    slopes = torch.tensor([2 ** (-8 * (i + 1) / 4) for i in range(4)])
    settings = [
        (dict(heads=1), (2, 3, 3), 4, 4, None, None),
        (dict(heads=2), (2, 5, 7), 8, 8, None, None),
        (dict(heads=2, scale=0.7), (1, 6, 4), 6, 6, None, None),
        (dict(heads=4, causal=True), (2, 9, 9), 16, 16, causal(9, 9), None),
        (dict(heads=1, causal=True), (1, 70, 70), 4, 4, causal(70, 70), None),
        (dict(heads=2, causal=True), (1, 4, 7), 4, 4, causal(4, 7), None),
        (dict(heads=2, causal=True, window=3), (2, 8, 8), 8, 8, causal(8, 8) + infinite(far(8, 8) >= 3), None),
        (dict(heads=2, window=2), (2, 8, 8), 8, 8, infinite(far(8, 8).abs() >= 2), None),
        (dict(heads=4, keyHeads=2), (2, 5, 6), 16, 8, None, None),
        (dict(heads=4, keyHeads=1, causal=True), (2, 6, 6), 16, 4, causal(6, 6), None),
        (dict(heads=4, alibi=True), (1, 7, 7), 16, 16, -slopes[:, None, None] * far(7, 7).abs(), None),
        (dict(heads=4, alibi=True, causal=True), (1, 7, 7), 16, 16, causal(7, 7) - slopes[:, None, None] * far(7, 7).abs(), None),
        (dict(heads=2), (3, 5, 6), 8, 8, None, [6, 1, 4]),
        (dict(heads=2, causal=True), (3, 6, 6), 8, 8, causal(6, 6), [6, 1, 4]),
        (dict(heads=2), (2, 3, 5), 8, 8, None, [0, 5]),
        (dict(heads=3), (2, 4, 4), 15, 15, None, [4, 2]),
        (dict(heads=1), (1, 66, 130), 8, 8, None, [101]),
        (dict(heads=2, bias=True), (2, 4, 5), 8, 8, "draw", None),
        (dict(heads=2, bias=True, causal=True), (2, 5, 5), 8, 8, "draw", None),
    ]
    for options, (batch, queries, keys), features, kv, bias, lengths in settings:
        inputs = {"q": (batch, queries, features), "k": (batch, keys, kv), "v": (batch, keys, kv)}
        inputs = {name: numbers(generator, shape) for name, shape in inputs.items()}
        extra = {} if lengths is None else {"lengths": lengths}
        padding = None if lengths is None else lengths_mask(lengths, keys)
        if isinstance(bias, str):
            drawn = numbers(generator, (queries, keys))
            extra["bias"] = drawn.flatten().tolist()
            bias = drawn + (causal(queries, keys) if options.get("causal") else 0)
        f = lambda q, k, v: products(q, k, v, options["heads"], bias, padding, options.get("scale"))
        yield case(generator, "attention", [options], inputs, f, extra)


def linear(generator, inputs, outputs):
    return numbers(generator, (inputs, outputs)) / 2


def project(x, weight, bias):
    return x @ weight + (0 if bias is None else bias)


def attention_module(x, memory, value, p, heads, bias, mask=None, padding=None):
    """PyTorch's own, which takes its weights transposed; `mask` is a float that is added to the scores."""
    turned = lambda name: None if name not in p else p[name]
    if "weight" in p:
        in_weight, in_bias = p["weight"].T, turned("bias")
    else:
        in_weight = torch.cat([p["queryWeight"].T, p["memoryWeight"].T])
        in_bias = torch.cat([p["queryBias"], p["memoryBias"]]) if bias else None
    out = F.multi_head_attention_forward(
        *(one.transpose(0, 1) for one in (x, memory, value)), x.shape[2], heads, in_weight, in_bias, None, None, False, 0.0,
        p["outputWeight"].T, turned("outputBias"), training=True, key_padding_mask=padding, need_weights=False,
        attn_mask=None if mask is None else mask.to(x.dtype),
    )[0]
    return out.transpose(0, 1)


def attentions(generator):
    causal = lambda n: torch.zeros(n, n, dtype=torch.float64).masked_fill(torch.ones(n, n, dtype=torch.bool).triu(1), -math.inf)
    for (batch, n, features, heads), bias, is_causal, lengths in itertools.product(
        [(2, 5, 8, 2), (3, 4, 6, 3), (2, 9, 4, 1)], [True, False], [True, False], [None, [2, 4, 3]]
    ):
        parameters = {"weight": linear(generator, features, 3 * features), "outputWeight": linear(generator, features, features)}
        if bias:
            parameters |= {"bias": numbers(generator, (3 * features,)), "outputBias": numbers(generator, (features,))}
        padding = None if lengths is None else lengths_mask(lengths[:batch], n)
        mask = causal(n) if is_causal else None
        f = lambda x, **p: attention_module(x, x, x, p, heads, bias, mask, padding)
        options = ({} if bias else {"bias": False}) | ({"causal": True} if is_causal else {})
        extra = {} if lengths is None else {"lengths": lengths[:batch]}
        inputs = {"x": numbers(generator, (batch, n, features))} | parameters
        yield case(generator, "multiHeadAttention", [heads, options], inputs, f, extra)
    for (batch, n, m, features, heads), bias, lengths in itertools.product(
        [(2, 5, 3, 8, 2), (2, 3, 7, 6, 3)], [True, False], [None, [2, 3]]
    ):
        parameters = {
            "queryWeight": linear(generator, features, features), "memoryWeight": linear(generator, features, 2 * features),
            "outputWeight": linear(generator, features, features),
        }
        if bias:
            parameters |= {"queryBias": numbers(generator, (features,)), "memoryBias": numbers(generator, (2 * features,)), "outputBias": numbers(generator, (features,))}
        padding = None if lengths is None else lengths_mask(lengths, m)
        f = lambda x, memory, **p: attention_module(x, memory, memory, p, heads, bias, None, padding)
        inputs = {"x": numbers(generator, (batch, n, features)), "memory": numbers(generator, (batch, m, features))} | parameters
        extra = {} if lengths is None else {"lengths": lengths}
        yield case(generator, "multiHeadAttention", [heads, {} if bias else {"bias": False}], inputs, f, extra)


def attention_parameters(generator, prefix, features, cross=False):
    first = (
        {"queryWeight": (features, features), "queryBias": (features,), "memoryWeight": (features, 2 * features), "memoryBias": (2 * features,)}
        if cross else {"weight": (features, 3 * features), "bias": (3 * features,)}
    )
    shapes = first | {"outputWeight": (features, features), "outputBias": (features,)}
    return {f"{prefix}.{name}": numbers(generator, shape) / 2 for name, shape in shapes.items()}


def rest_parameters(generator, features, hidden, norms):
    shapes = {"hidden.weight": (features, hidden), "hidden.bias": (hidden,), "output.weight": (hidden, features), "output.bias": (features,)}
    for index in range(1, norms + 1):
        shapes |= {f"norm{index}.weight": (features,), f"norm{index}.bias": (features,)}
    return {name: numbers(generator, shape) / 2 for name, shape in shapes.items()}


def fill(module, p, names):
    """The module's function with these parameters, weights of products transposed: gradients flow to them."""
    state = {}
    for name, ours in names.items():
        tensors = [p[one] for one in ours]
        whole = torch.cat([one.T if one.dim() == 2 else one for one in tensors])
        state[name] = whole
    return lambda *args, **kwargs: torch.nn.utils.stateless.functional_call(module, state, args, kwargs)


def names_of(attention, cross=False):
    w, b = (["queryWeight", "memoryWeight"], ["queryBias", "memoryBias"]) if cross else (["weight"], ["bias"])
    theirs = "multihead_attn" if cross else "self_attn"
    return {
        f"{theirs}.in_proj_weight": [f"{attention}.{one}" for one in w], f"{theirs}.in_proj_bias": [f"{attention}.{one}" for one in b],
        f"{theirs}.out_proj.weight": [f"{attention}.outputWeight"], f"{theirs}.out_proj.bias": [f"{attention}.outputBias"],
    }


def rest_names(norms):
    names = {"linear1.weight": ["hidden.weight"], "linear1.bias": ["hidden.bias"], "linear2.weight": ["output.weight"], "linear2.bias": ["output.bias"]}
    for index in range(1, norms + 1):
        names |= {f"norm{index}.weight": [f"norm{index}.weight"], f"norm{index}.bias": [f"norm{index}.bias"]}
    return names


def blocks(generator):
    import torch.nn.utils.stateless  # noqa: F401

    causal = lambda n: torch.ones(n, n, dtype=torch.bool).triu(1)
    for norm, activation, is_causal, lengths in itertools.product(["post", "pre"], ["relu", "gelu"], [False, True], [None, [3, 5]]):
        batch, n, features, heads, hidden = 2, 5, 8, 2, 12
        module = nn.TransformerEncoderLayer(features, heads, hidden, 0.0, activation, batch_first=True, norm_first=norm == "pre")
        names = names_of("attention") | rest_names(2)
        parameters = attention_parameters(generator, "attention", features) | rest_parameters(generator, features, hidden, 2)
        padding = None if lengths is None else lengths_mask(lengths, n)

        def f(x, **p):
            call = fill(module, p, names)
            return call(x, src_mask=causal(n) if is_causal else None, src_key_padding_mask=padding)

        options = {"hidden": hidden, "norm": norm, "activation": activation} | ({"causal": True} if is_causal else {})
        extra = {} if lengths is None else {"lengths": lengths}
        yield case(generator, "transformerEncoder", [heads, options], {"x": numbers(generator, (batch, n, features))} | parameters, f, extra)
    for norm, lengths, memory_lengths in itertools.product(["post", "pre"], [None, [3, 4]], [None, [2, 6]]):
        batch, n, m, features, heads, hidden = 2, 4, 6, 8, 2, 12
        module = nn.TransformerDecoderLayer(features, heads, hidden, 0.0, batch_first=True, norm_first=norm == "pre")
        names = names_of("attention") | names_of("crossAttention", True) | rest_names(3)
        parameters = (
            attention_parameters(generator, "attention", features) | attention_parameters(generator, "crossAttention", features, True)
            | rest_parameters(generator, features, hidden, 3)
        )
        own = None if lengths is None else lengths_mask(lengths, n)
        other = None if memory_lengths is None else lengths_mask(memory_lengths, m)

        def g(x, memory, **p):
            call = fill(module, p, names)
            return call(x, memory, tgt_mask=causal(n), tgt_key_padding_mask=own, memory_key_padding_mask=other)

        extra = ({} if lengths is None else {"lengths": lengths}) | ({} if memory_lengths is None else {"memoryLengths": memory_lengths})
        inputs = {"x": numbers(generator, (batch, n, features)), "memory": numbers(generator, (batch, m, features))} | parameters
        yield case(generator, "transformerDecoder", [heads, {"hidden": hidden, "norm": norm}], inputs, g, extra)


if __name__ == "__main__":
    generator = torch.Generator().manual_seed(12)
    cases = [one for make in (embeddings, by_hand, attentions, blocks) for one in make(generator)]
    write("attention.json", cases, "attention.py")
