# Writes recurrent.json beside it: outputs, last states and all gradients of recurrent layers and cells, from PyTorch in
# float64, with the error that PyTorch itself makes in float32. Run with Debian's python3-torch, then format the result:
# /usr/bin/python3 recurrent.py; npx biome format --write recurrent.json
import torch
from pool import listed, numbers, write
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

GATES = {"simpleRnn": 1, "lstm": 4, "gru": 3}
MODULES = {"simpleRnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
CELLS = {"rnnCell": (nn.RNNCell, 1), "lstmCell": (nn.LSTMCell, 4), "gruCell": (nn.GRUCell, 3)}
FEATURES = 3


def parameters(generator, kind, units, options):
    """Values by the names of the layer: matrices are the transposes of PyTorch's."""
    layers, both, states = options.get("layers", 1), "bidirectional" in options, options.get("projection", units)
    width, found = GATES[kind] * units, {}
    for layer in range(layers):
        for way in ["forward.", "backward."] if both else [""]:
            prefix = (f"{layer}." if layers > 1 else "") + way
            features = FEATURES if layer == 0 else states * (2 if both else 1)
            found[f"{prefix}weight"] = numbers(generator, (features, width))
            found[f"{prefix}recurrentWeight"] = numbers(generator, (states, width)) / 2  # so that no rounding grows step by step
            if options.get("bias", True):
                found[f"{prefix}bias"] = numbers(generator, (width,))
                if kind == "gru":
                    found[f"{prefix}recurrentBias"] = numbers(generator, (width,))
            if "projection" in options:
                found[f"{prefix}projection"] = numbers(generator, (units, states))
    return found


def torch_name(name):
    """PyTorch's name of a parameter, and whether it is transposed."""
    parts = name.split(".")
    layer = parts[0] if parts[0].isdigit() else "0"
    end = f"l{layer}" + ("_reverse" if "backward" in parts else "")
    kind = {"weight": "weight_ih", "recurrentWeight": "weight_hh", "bias": "bias_ih", "recurrentBias": "bias_hh", "projection": "weight_hr"}
    return f"{kind[parts[-1]]}_{end}", "eight" in parts[-1] or parts[-1] == "projection"


def run(kind, units, options, values, lengths, upstream, dtype):
    """Outputs and gradients; without `upstream` outputs alone."""
    more = {"nonlinearity": options.get("activation", "tanh")} if kind == "simpleRnn" else {}
    module = MODULES[kind](
        FEATURES, units, options.get("layers", 1), bias=options.get("bias", True), batch_first=True,
        bidirectional="bidirectional" in options, **({"proj_size": options["projection"]} if "projection" in options else {}), **more,
    ).to(dtype)
    known = dict(module.named_parameters())
    with torch.no_grad():
        for name, parameter in known.items():
            parameter.zero_()
        for name, value in values.items():
            if name in ("x", "hidden", "cell"):
                continue
            own, transposed = torch_name(name)
            known[own].copy_(value.t() if transposed else value)
    leaves = {name: values[name].to(dtype, copy=True).requires_grad_() for name in ("x", "hidden", "cell") if name in values}
    x = leaves["x"].flip(1) if options.get("reverse") else leaves["x"]
    time = x.shape[1]
    start = [state.unsqueeze(1) if state.dim() == 2 else state for state in (leaves.get("hidden"), leaves.get("cell")) if state is not None]
    start = [state.transpose(0, 1).contiguous() for state in start]
    given = x if lengths is None else pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False)
    y, last = module(given, *([tuple(start) if kind == "lstm" else start[0]] if start else []))
    if lengths is not None:
        y, _ = pad_packed_sequence(y, batch_first=True, total_length=time)
    last = last if kind == "lstm" else (last,)
    merge = options.get("bidirectional")
    half = lambda a, b: {"concatenate": torch.cat([a, b], -1), "sum": a + b, "average": (a + b) / 2, "multiply": a * b}[merge]
    if merge is not None:
        y = half(*y.chunk(2, -1))
    if options.get("reverse"):
        y = y.flip(1)
    if not options.get("returnSequences"):
        y = last[0][-1] if merge is None else half(last[0][-2], last[0][-1])
    results = {"output": y} | dict(zip(["hidden", "cell"], [state.transpose(0, 1).squeeze(1) if state.shape[0] == 1 else state.transpose(0, 1) for state in last]))
    if upstream is None:
        return results
    sum((result * upstream[name].to(dtype)).sum() for name, result in results.items()).backward()
    gradients = {f"d{name}": leaf.grad for name, leaf in leaves.items()}
    for name in values:
        if name not in leaves:
            own, transposed = torch_name(name)
            gradients[f"d{name}"] = known[own].grad.t() if transposed else known[own].grad
    return {name: value.detach().double() for name, value in (results | gradients).items()}


def recorded(inputs, about, f):
    """`f` of upstream gradients and a dtype."""
    generator = about.pop("generator")
    with torch.no_grad():
        upstream = {name: numbers(generator, value.shape) for name, value in f(None, torch.float64).items()}
    exact, single = f(upstream, torch.float64), f(upstream, torch.float32)
    scale = {name: value.abs().max().clamp(min=1e-30) for name, value in exact.items()}
    errors = {name: ((single[name] - exact[name]).abs().max() / scale[name]).item() for name in exact}
    flat = lambda value: [float(f"{v:.9g}") for v in value.flatten().tolist()]
    shaped = lambda values: {name: {"shape": list(value.shape), "values": flat(value)} for name, value in values.items()}
    return about | {
        "inputs": shaped(inputs),
        "upstream": shaped(upstream),
        "exact": {name: listed(value) for name, value in exact.items()},
        "float32Error": {name: float(f"{error:.2g}") for name, error in errors.items()},
    }


def layer(generator, kind, units, options, batch=3, time=4, start=False, lengths=None):
    values = {"x": numbers(generator, (batch, time, FEATURES))}
    if start:
        count = options.get("layers", 1) * (2 if "bidirectional" in options else 1)
        for name, width in [("hidden", options.get("projection", units))] + ([("cell", units)] if kind == "lstm" else []):
            values[name] = numbers(generator, (batch, width) if count == 1 else (batch, count, width))
    values |= parameters(generator, kind, units, options)
    about = {"generator": generator, "layer": kind, "units": units, "options": options} | ({"lengths": lengths} if lengths else {})
    return recorded(values, about, lambda upstream, dtype: run(kind, units, options, values, lengths, upstream, dtype))


def run_cell(name, units, values, options, upstream, dtype):
    make, _ = CELLS[name]
    cell = make(FEATURES, units, **({"nonlinearity": options["activation"]} if name == "rnnCell" else {})).to(dtype)
    own = {"weight": "weight_ih", "recurrentWeight": "weight_hh", "bias": "bias_ih", "recurrentBias": "bias_hh"}
    known = dict(cell.named_parameters())
    with torch.no_grad():
        known["bias_hh"].zero_()
        for given, to in own.items():
            if given in values:
                known[to].copy_(values[given].t() if values[given].dim() == 2 else values[given])
    leaves = {given: values[given].to(dtype, copy=True).requires_grad_() for given in ("x", "hidden", "cell") if given in values}
    state = (leaves["hidden"], leaves["cell"]) if name == "lstmCell" else leaves["hidden"]
    found = cell(leaves["x"], state)
    results = dict(zip(["hidden", "cell"], found if name == "lstmCell" else (found,)))
    if upstream is None:
        return results
    sum((result * upstream[one].to(dtype)).sum() for one, result in results.items()).backward()
    gradients = {f"d{given}": leaf.grad for given, leaf in leaves.items()}
    for given, to in own.items():
        if given in values:
            gradients[f"d{given}"] = known[to].grad.t() if values[given].dim() == 2 else known[to].grad
    return {one: value.detach().double() for one, value in (results | gradients).items()}


def one_cell(generator, name, units, batch, options):
    _, gates = CELLS[name]
    values = {"x": numbers(generator, (batch, FEATURES)), "hidden": numbers(generator, (batch, units))}
    if name == "lstmCell":
        values["cell"] = numbers(generator, (batch, units))
    values["weight"] = numbers(generator, (FEATURES, gates * units))
    values["recurrentWeight"] = numbers(generator, (units, gates * units))
    values["bias"] = numbers(generator, (gates * units,))
    if name == "gruCell":
        values["recurrentBias"] = numbers(generator, (gates * units,))
    about = {"generator": generator, "layer": name, "units": units, "options": options}
    return recorded(values, about, lambda upstream, dtype: run_cell(name, units, values, options, upstream, dtype))


def record():
    source = torch.Generator().manual_seed(9)
    cases = []
    all_outputs = {"returnSequences": True}
    both = {"bidirectional": "concatenate"}
    for kind, own in [("simpleRnn", {}), ("simpleRnn", {"activation": "relu"}), ("lstm", {}), ("gru", {})]:
        add = lambda units=5, batch=3, time=4, start=False, lengths=None, **options: cases.append(
            layer(source, kind, units, own | all_outputs | options, batch, time, start, lengths)
        )
        add()
        add(start=True)
        add(units=8, batch=7, time=3)
        add(units=1, batch=1, time=1)
        add(layers=2, start=True)
        add(layers=3, units=4)
        add(**both)
        add(layers=2, start=True, **both)
        add(lengths=[2, 4, 1])
        add(lengths=[4, 4, 1], start=True, **both)
        add(layers=2, lengths=[1, 3, 4], start=True, **both)
        add(bias=False)
        add(reverse=True, start=True)
        add(returnSequences=False)
        add(returnSequences=False, lengths=[3, 1, 4], **both)
    for kind in ["lstm", "gru"]:
        for merge in ["sum", "average", "multiply"]:
            cases.append(layer(source, kind, 4, all_outputs | {"bidirectional": merge}, start=True))
    for options in [{}, {"layers": 2}, both, {"layers": 2} | both]:
        cases.append(layer(source, "lstm", 5, all_outputs | {"projection": 2} | options, start=True))
        cases.append(layer(source, "lstm", 5, all_outputs | {"projection": 2} | options, lengths=[4, 1, 2]))
    for batch, units in [(3, 5), (1, 8)]:
        cases.append(one_cell(source, "rnnCell", units, batch, {"activation": "tanh"}))
        cases.append(one_cell(source, "rnnCell", units, batch, {"activation": "relu"}))
        cases.append(one_cell(source, "lstmCell", units, batch, {}))
        cases.append(one_cell(source, "gruCell", units, batch, {}))
    return cases


if __name__ == "__main__":
    write("recurrent.json", record(), "recurrent.py")
