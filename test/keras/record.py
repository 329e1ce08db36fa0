"""Records test/golden/keras.json: models of test/golden/tensorFlowJs.json as files of Keras, in the layout that Keras writes
(a .keras archive with config.json, metadata.json and model.weights.h5; or .h5 with model_config and model_weights), with what
TensorFlow.js predicts; and layers that it does not have, with what PyTorch gives in float64. Run: python3 test/keras/record.py"""

import base64
import io
import json
import pathlib
import re
import zipfile
import zlib

import h5py
import numpy as np
import torch

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
RECORDED = json.loads((GOLDEN / "tensorFlowJs.json").read_text())
CELLS = ("SimpleRNN", "LSTM", "GRU")
MODELS = ("Sequential", "Model", "Functional")


def weights_of(recorded):
    """Arrays by the names that TensorFlow.js has for them."""
    data = base64.b64decode(recorded["weights"])
    found, at = {}, 0
    for spec in recorded["json"]["weightsManifest"][0]["weights"]:
        size = int(np.prod(spec["shape"])) * 4
        found[spec["name"]] = np.frombuffer(data[at : at + size], "<f4").reshape(spec["shape"])
        at += size
    return found


def snake(name):
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def module_of(class_name):
    return "keras.src.models.functional" if class_name == "Functional" else "keras.layers"


def third(layer, first=True):
    """A layer as Keras 3 describes it."""
    name = layer["class_name"]
    config = dict(layer["config"]) if isinstance(layer["config"], dict) else {"layers": layer["config"]}
    if name in MODELS:
        name = "Sequential" if "input_layers" not in config else "Functional"
        config["layers"] = [third(one) for one in config["layers"]]
    elif "layer" in config:
        config["layer"] = third(config["layer"])
    shape = config.pop("batch_input_shape", None)
    if shape is not None:
        config["batch_shape"] = shape
    if name in ("LeakyReLU",):
        config["negative_slope"] = config.pop("alpha")
    if name == "GRU":
        config["reset_after"] = False
    config["dtype"] = {
        "module": "keras",
        "class_name": "DTypePolicy",
        "config": {"name": config.get("dtype") or "float32"},
        "registered_name": None,
    }
    if name == "InputLayer":
        config["dtype"] = "float32"
    made = {"module": module_of(name), "class_name": name, "config": config, "registered_name": None}
    if "name" in config:
        made["name"] = config["name"]
    if "inbound_nodes" in layer:
        made["inbound_nodes"] = [third_node(node) for node in layer["inbound_nodes"]]
    if name == "Functional":
        for end in ("input_layers", "output_layers"):
            if len(config[end]) == 1:
                config[end] = config[end][0]
    return made


def third_node(node):
    tensors = [
        {"class_name": "__keras_tensor__", "config": {"shape": [None, 1], "dtype": "float32", "keras_history": one[:3]}}
        for one in node
    ]
    return {"args": tensors if len(tensors) == 1 else [tensors], "kwargs": {"training": None} if len(tensors) == 1 else {}}


def sequential_input(layer):
    """Keras 3 has the input of a sequential model as its first layer."""
    layers = layer["config"]["layers"]
    shape = layers[0]["config"].pop("batch_shape", None) if layers[0]["class_name"] != "InputLayer" else None
    if shape is not None:
        config = {"batch_shape": shape, "dtype": "float32", "name": "input_layer"}
        layers.insert(0, {"module": "keras.layers", "class_name": "InputLayer", "config": config})
    for one in layers:
        if one["class_name"] == "Sequential":
            sequential_input(one)


def save_layers(group, layers, weights):
    """The groups that Keras 3 makes: by class and number, with the weights of each in "vars"."""
    used = {}
    for layer in layers:
        name = snake(layer["class_name"])
        used[name] = used.get(name, -1) + 1
        place = f"layers/{name}" if used[name] == 0 else f"layers/{name}_{used[name]}"
        made = group.create_group(place)
        config = layer["config"]
        if "layers" in config:
            made.create_group("vars")
            save_layers(made, config["layers"], weights)
            continue
        own = [(key, value) for key, value in weights.items() if config["name"] in key.split("/")]
        if layer["class_name"] == "Bidirectional":
            for way in ("forward", "backward"):
                cell = made.create_group(f"{way}_layer/cell/vars")
                mine = [value for key, value in own if f"/{way}_" in key]
                for index, value in enumerate(mine):
                    cell[str(index)] = value
        elif layer["class_name"] in CELLS:
            made.create_group("vars")
            cell = made.create_group("cell/vars")
            for index, (_, value) in enumerate(own):
                cell[str(index)] = value
        else:
            inner = made.create_group("layer/vars" if layer["class_name"] == "TimeDistributed" else "vars")
            for index, (_, value) in enumerate(own):
                inner[str(index)] = value


def archive(config, save):
    weights = io.BytesIO()
    with h5py.File(weights, "w") as file:
        file.create_group("vars")
        save(file)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        # At a time of its own, each recording would give other bytes.
        entry = lambda name: zipfile.ZipInfo(name, (2024, 1, 1, 0, 0, 0))
        zipped.writestr(entry("metadata.json"), json.dumps({"keras_version": "3.4.1", "date_saved": "2024-01-01@00:00:00"}))
        zipped.writestr(entry("config.json"), json.dumps(config))
        zipped.writestr(entry("model.weights.h5"), weights.getvalue())
    return packed.getvalue()


def as_keras(name):
    recorded = RECORDED[name]
    topology = json.loads(json.dumps(recorded["json"]["modelTopology"]))
    config = third({"class_name": topology["class_name"], "config": topology["config"]})
    if config["class_name"] == "Sequential":
        sequential_input(config)
    else:
        for layer in config["config"]["layers"]:
            if layer["class_name"] == "Sequential":
                sequential_input(layer)
    weights = weights_of(recorded)
    return archive(config, lambda file: save_layers(file, config["config"]["layers"], weights))


def as_h5(name):
    """Keras 2: everything in attributes, weights by name, nested models under the name of the outer one."""
    recorded = RECORDED[name]
    topology = recorded["json"]["modelTopology"]
    config = {"class_name": topology["class_name"], "config": topology["config"]}
    weights = weights_of(recorded)
    layers = topology["config"]["layers"] if isinstance(topology["config"], dict) else topology["config"]
    packed = io.BytesIO()
    with h5py.File(packed, "w") as file:
        file.attrs["keras_version"] = b"2.13.1"
        file.attrs["backend"] = b"tensorflow"
        file.attrs["model_config"] = json.dumps(config).encode()
        group = file.create_group("model_weights")
        names = []
        for layer in layers:
            own = layer["config"]["name"] if "name" in layer["config"] else layer["name"]
            names.append(own)
            inner = group.create_group(own)
            found = inner_weights(layer, weights)
            inner.attrs["weight_names"] = np.array([f"{key}:0".encode() for key, _ in found] or [], dtype="S")
            for key, value in found:
                inner[f"{key}:0"] = value
        group.attrs["layer_names"] = np.array([one.encode() for one in names], dtype="S")
        group.attrs["keras_version"] = b"2.13.1"
    return packed.getvalue()


def inner_weights(layer, weights):
    config = layer["config"]
    if "layers" in config:
        return [one for inner in config["layers"] for one in inner_weights(inner, weights)]
    return [(key, value) for key, value in weights.items() if config["name"] in key.split("/")]


def text(data):
    """HDF5 has much room in it."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


# ——— What TensorFlow.js does not have ———

RANDOM = np.random.default_rng(17)


def values(*shape):
    return RANDOM.uniform(-0.6, 0.6, shape).astype(np.float32)


def layer(class_name, name, inbound, **config):
    nodes = []
    if inbound:
        args = [
            {"class_name": "__keras_tensor__", "config": {"shape": [None], "dtype": "float32", "keras_history": [one, 0, 0]}}
            for one in inbound
        ]
        kwargs = config.pop("kwargs", {})
        # Layers that join tensors are given a list of them.
        lists = ("Attention", "AdditiveAttention", "Concatenate", "Add")
        nodes = [{"args": [args] if class_name in lists else args, "kwargs": kwargs}]
    made = {"name": name, "trainable": True, **config}
    return {"module": "keras.layers", "class_name": class_name, "config": made, "registered_name": None, "name": name, "inbound_nodes": nodes}


def functional(inputs, layers, outputs):
    ends = lambda names: [[name, 0, 0] for name in names]
    made = [
        {"module": "keras.layers", "class_name": "InputLayer", "config": {"batch_shape": [None, *shape], "dtype": "float32", "name": name}, "registered_name": None, "name": name, "inbound_nodes": []}
        for name, shape in inputs
    ]
    config = {"name": "functional", "trainable": True, "layers": made + layers, "input_layers": ends([name for name, _ in inputs]), "output_layers": ends(outputs)}
    return {"module": "keras.src.models.functional", "class_name": "Functional", "config": config, "registered_name": "Functional"}


def save_all(weights):
    def save(file):
        for place, arrays in weights.items():
            group = file.create_group(f"layers/{place}/vars")
            for index, value in enumerate(arrays):
                group[str(index)] = value

    return save


def own_case():
    x, y = values(2, 6, 4), values(2, 5, 4)
    dx, dy = torch.tensor(x, dtype=torch.float64), torch.tensor(y, dtype=torch.float64)
    double = lambda array: torch.tensor(array, dtype=torch.float64)

    # A GRU with the reset after the product: Keras' gates are z, r, h; PyTorch's r, z, n.
    units = 3
    kernel, recurrent, bias = values(4, 9), values(3, 9), values(2, 9)
    turned = lambda a: np.concatenate([a[..., units : 2 * units], a[..., :units], a[..., 2 * units :]], -1)
    gru = torch.nn.GRU(4, units, batch_first=True).double()
    with torch.no_grad():
        gru.weight_ih_l0.copy_(double(turned(kernel).T))
        gru.weight_hh_l0.copy_(double(turned(recurrent).T))
        gru.bias_ih_l0.copy_(double(turned(bias[0])))
        gru.bias_hh_l0.copy_(double(turned(bias[1])))
    _, state = gru(dx)

    # Attention: of x to itself, causal, and to another sequence.
    heads, key_dim, value_dim = 2, 3, 5

    def attention(features):
        q, k = values(features, heads, key_dim), values(features, heads, key_dim)
        v, o = values(features, heads, value_dim), values(heads, value_dim, features)
        return [q, values(heads, key_dim), k, values(heads, key_dim), v, values(heads, value_dim), o, values(features)]

    def attend(parts, query, value, causal):
        q, qb, k, kb, v, vb, o, ob = [double(part) for part in parts]
        q = torch.einsum("btf,fhk->bhtk", query, q) + qb[None, :, None]
        k = torch.einsum("bsf,fhk->bhsk", value, k) + kb[None, :, None]
        v = torch.einsum("bsf,fhk->bhsk", value, v) + vb[None, :, None]
        scores = torch.einsum("bhtk,bhsk->bhts", q, k) / np.sqrt(key_dim)
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -np.inf)
        return torch.einsum("bhtv,hvf->btf", scores.softmax(-1) @ v, o) + ob

    own, cross = attention(4), attention(4)

    gamma, beta = values(4), values(4)
    grouped = torch.nn.functional.group_norm(dx.transpose(1, 2), 2, double(gamma), double(beta), 0.01).transpose(1, 2)
    mean, variance = values(4), values(4) ** 2 + 0.1
    normal = (dx - double(mean)) / double(variance).sqrt()
    dense, offset = values(4, 3), values(3)
    hard = torch.nn.functional.hardsigmoid(dx @ double(dense) * 4 + double(offset))
    window, add = values(3, 4, 2), values(2)
    padded = torch.nn.functional.pad(dx.transpose(1, 2), (4, 0))
    causal = torch.nn.functional.conv1d(padded, double(window).permute(2, 1, 0), double(add), dilation=2).transpose(1, 2)

    attention_config = dict(num_heads=heads, key_dim=key_dim, value_dim=value_dim, dropout=0.1, use_bias=True)
    layers = [
        layer("GRU", "gru", ["x"], units=units, activation="tanh", recurrent_activation="sigmoid", use_bias=True, reset_after=True, return_sequences=False),
        layer("MultiHeadAttention", "own", ["x", "x"], **attention_config, kwargs={"use_causal_mask": True, "query_mask": None}),
        layer("MultiHeadAttention", "cross", ["x", "y"], **attention_config, kwargs={"return_attention_scores": False}),
        layer("GroupNormalization", "groups", ["x"], groups=2, axis=-1, epsilon=0.01, center=True, scale=True),
        layer("Normalization", "normal", ["x"], axis=[-1], invert=False),
        layer("Dense", "hard", ["x"], units=3, activation="hard_sigmoid", use_bias=True),
        layer("Conv1D", "causal", ["x"], filters=2, kernel_size=[3], strides=[1], padding="causal", dilation_rate=[2], activation={"module": "builtins", "class_name": "function", "config": "linear", "registered_name": "function"}, use_bias=True),
    ]
    names = ["gru", "own", "cross", "groups", "normal", "hard", "causal"]
    parts = lambda place, arrays: {
        f"{place}/{name}_dense": arrays[2 * index : 2 * index + 2] for index, name in enumerate(["query", "key", "value", "output"])
    }
    weights = {
        "gru/cell": [kernel, recurrent, bias],
        **parts("multi_head_attention", own),
        **parts("multi_head_attention_1", cross),
        "group_normalization": [gamma, beta],
        "normalization": [mean, variance, np.zeros((), "int32")],
        "dense": [dense * 4, offset],
        "conv1d": [window, add],
    }
    outputs = [state[0], attend(own, dx, dx, True), attend(cross, dx, dy, False), grouped, normal, hard, causal]
    config = functional([("x", [6, 4]), ("y", [5, 4])], layers, names)
    flat = lambda a: [float(f"{value:.9g}") for value in np.asarray(a).ravel()]
    return {
        "file": text(archive(config, save_all(weights))),
        "inputs": [{"name": "x", "data": flat(x)}, {"name": "y", "data": flat(y)}],
        "outputs": [{"data": flat(output.detach().numpy())} for output in outputs],
    }


def masked_case():
    """Masks, and layers that TensorFlow.js does not have or cannot apply."""
    double = lambda array: torch.tensor(array, dtype=torch.float64)
    words = np.array([[3, 0, 1, 2, 0], [0, 2, 1, 0, 0]], np.float32)
    steps, more = values(2, 3, 4), values(2, 5, 4)
    steps[0, 1] = steps[1, 0] = more[0, 2] = more[:, 4] = 0.5
    volume, picture, scalars = values(2, 2, 3, 2, 4), values(2, 6, 5, 2), values(2, 3) * 3
    table = values(4, 4)
    e, mask = double(table)[torch.tensor(words).long()], torch.tensor(words != 0)
    hole, gap = [torch.tensor((one != 0.5).any(-1)) for one in (steps, more)]
    mean = lambda x, mask: (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)

    def lstm(x, mask, weights):  # outputs are 0 in padding
        kernel, recurrent, bias = [double(one) for one in weights]
        h = c = torch.zeros(len(x), len(kernel.T) // 4, dtype=torch.float64)
        outputs = []
        for t in range(x.shape[1]):
            i, f, g, o = (x[:, t] @ kernel + h @ recurrent + bias).chunk(4, -1)
            next_c = f.sigmoid() * c + i.sigmoid() * g.tanh()
            next_h, there = o.sigmoid() * next_c.tanh(), mask[:, t, None]
            outputs.append(next_h * there)
            h, c = torch.where(there, next_h, h), torch.where(there, next_c, c)
        return torch.stack(outputs, 1)

    cells = [[values(4, 8), values(2, 8), values(8)] for _ in range(2)]
    ways = [lstm(e, mask, cells[0]), lstm(e.flip(1), mask.flip(1), cells[1]).flip(1)]

    heads, key_heads, size = 4, 2, 3
    shapes = [(4, heads, size), (heads, size), (4, key_heads, size), (key_heads, size), (4, key_heads, size), (key_heads, size), (heads, size, 4), (4,)]
    grouped = [values(*shape) for shape in shapes]
    q, qb, k, kb, v, vb, o, ob = [double(part) for part in grouped]
    query = torch.einsum("btf,fhk->bhtk", e, q) + qb[None, :, None]
    key, value = [
        (torch.einsum("bsf,fhk->bhsk", e, w) + b[None, :, None]).repeat_interleave(heads // key_heads, 1) for w, b in ((k, kb), (v, vb))
    ]
    scores = (torch.einsum("bhtk,bhsk->bhts", query, key) / np.sqrt(size)).masked_fill(~mask[:, None, None], -np.inf)
    attended = torch.einsum("bhtv,hvf->btf", scores.softmax(-1) @ value, o) + ob

    scale, scales = np.float32(0.7), values(4)
    seen = mask[:, None] & torch.ones(5, 5).tril().bool()
    products = (e @ e.transpose(1, 2) * float(scale)).masked_fill(~seen, -1e9)
    luong = products.softmax(-1) @ e * mask[..., None]
    s = double(steps)
    tanhs = (double(scales) * (s[:, :, None] + e[:, None]).tanh()).sum(-1).masked_fill(~mask[:, None], -1e9)
    bahdanau = tanhs.softmax(-1) @ e

    kernel, offset = values(4, 2, 3), values(2, 3)
    row, rows = [values(2, 4, 8), values(2, 2, 8), values(8)], values(2, 3, 5, 4)
    r, (w, u, b) = double(rows), [double(one) for one in row]
    conv = lambda x, w, pad: torch.nn.functional.conv1d(torch.nn.functional.pad(x.transpose(1, 2), pad), w.permute(2, 1, 0)).transpose(1, 2)
    h = c = torch.zeros(2, 4, 2, dtype=torch.float64)
    for t in range(3):
        i, f, g, o = (conv(r[:, t], w, (0, 0)) + b + conv(h, u, (0, 1))).chunk(4, -1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        h = o.sigmoid() * c.tanh()
    d, p = double(volume), double(picture)
    first = p.permute(0, 3, 1, 2)
    back = lambda x: x.permute(0, 2, 3, 1)
    resized = torch.nn.functional.interpolate(first, (9, 4), mode="bilinear", align_corners=False)
    nearest = torch.nn.functional.interpolate(first, (4, 8), mode="nearest-exact")
    bins = torch.tensor(np.digitize(scalars, [-1.0, 0.25, 1.0])).double()
    middle, variance = values(3), values(3) ** 2 + 0.1
    same = dict(recurrent_activation="sigmoid", activation="tanh", use_bias=True)
    inner = lambda name: layer("LSTM", name, [], units=2, return_sequences=True, **same)
    both = {**inner("forward_lstm"), "config": inner("forward_lstm")["config"]}
    chance = dict(fill_mode="reflect", interpolation="bilinear")
    layers = [
        layer("Embedding", "table", ["words"], input_dim=4, output_dim=4, mask_zero=True),
        layer("Masking", "holes", ["steps"], mask_value=0.5),
        layer("Bidirectional", "ways", ["table"], layer=both, merge_mode="ave"),
        layer("GlobalAveragePooling1D", "mean", ["ways"], keepdims=False),
        layer("GroupedQueryAttention", "grouped", ["table", "table"], head_dim=size, num_query_heads=heads, num_key_value_heads=key_heads, dropout=0.1, use_bias=True),
        layer("GlobalAveragePooling1D", "seen", ["grouped"], keepdims=True),
        layer("Attention", "luong", ["table", "table"], use_scale=True, score_mode="dot", dropout=0.2, kwargs={"use_causal_mask": True}),
        layer("AdditiveAttention", "bahdanau", ["steps", "table"], use_scale=True, dropout=0.0),
        layer("Concatenate", "joined", ["table", "holes"], axis=1),
        layer("GlobalAveragePooling1D", "all", ["joined"], keepdims=False),
        layer("Masking", "gaps", ["more"], mask_value=0.5),
        layer("Add", "sum", ["table", "gaps"]),
        layer("GlobalAveragePooling1D", "either", ["sum"], keepdims=False),
        layer("EinsumDense", "heads", ["steps"], equation="abc,cde->abde", output_shape=[None, 2, 3], bias_axes="de", activation="tanh"),
        layer("ConvLSTM1D", "rows_lstm", ["rows"], filters=2, kernel_size=[2], strides=[1], dilation_rate=[1], padding="valid", dropout=0.1, **same),
        layer("UnitNormalization", "unit", ["steps"], axis=[1, 2]),
        layer("SpatialDropout3D", "dropped", ["volume"], rate=0.3),
        layer("UpSampling3D", "up", ["dropped"], size=[2, 1, 3]),
        layer("RandomFlip", "flip", ["picture"], mode="horizontal"),
        layer("RandomRotation", "turn", ["flip"], factor=[-0.1, 0.1], **chance),
        layer("RandomTranslation", "shift", ["turn"], height_factor=0.1, width_factor=0.2, **chance),
        layer("RandomZoom", "zoom", ["shift"], height_factor=[-0.2, 0.3], width_factor=None, **chance),
        layer("Resizing", "resized", ["zoom"], height=9, width=4, interpolation="bilinear"),
        layer("Resizing", "nearest", ["zoom"], height=4, width=8, interpolation="nearest"),
        layer("AdaptiveAveragePooling2D", "averages", ["picture"], output_size=[4, 2]),
        layer("AdaptiveMaxPooling1D", "maxima", ["steps"], output_size=2),
        layer("Discretization", "bins", ["scalars"], bin_boundaries=[-1.0, 0.25, 1.0], output_mode="int"),
        layer("CategoryEncoding", "codes", ["bins"], num_tokens=4, output_mode="one_hot"),
        layer("Normalization", "restored", ["scalars"], axis=[-1], invert=True),
    ]
    parts = [f"grouped_query_attention/_{name}_dense" for name in ("query", "key", "value", "output")]
    weights = {
        "embedding": [table],
        "bidirectional/forward_layer/cell": cells[0],
        "bidirectional/backward_layer/cell": cells[1],
        **{part: grouped[2 * index : 2 * index + 2] for index, part in enumerate(parts)},
        "attention": [scale],
        "additive_attention": [scales],
        "einsum_dense": [kernel, offset],
        "conv_lstm1d/cell": row,
        "normalization": [middle, variance, np.zeros((), "int32")],
    }
    results = {
        "ways": sum(ways) / 2,
        "mean": mean(sum(ways) / 2, mask),
        "seen": mean(attended, mask),
        "luong": luong,
        "bahdanau": bahdanau,
        "all": mean(torch.cat([e, s * hole[..., None]], 1), torch.cat([mask, hole], 1)),
        # A step is there if it is in one of the two; what is padding is zeros.
        "either": mean(e + double(more) * gap[..., None], mask | gap),
        "heads": (torch.einsum("abc,cde->abde", s, double(kernel)) + double(offset)).tanh(),
        "rows_lstm": h,
        "unit": s / s.square().sum((1, 2), keepdim=True).sqrt(),
        "up": d.repeat_interleave(2, 1).repeat_interleave(3, 3),
        "resized": back(resized),
        "nearest": back(nearest),
        "averages": back(torch.nn.functional.adaptive_avg_pool2d(first, (4, 2))),
        "maxima": torch.nn.functional.adaptive_max_pool1d(s.transpose(1, 2), 2).transpose(1, 2),
        "codes": torch.nn.functional.one_hot(bins.long(), 4).double(),
        "restored": double(scalars) * double(variance).sqrt() + double(middle),
    }
    given = {"words": words, "steps": steps, "more": more, "volume": volume, "rows": rows, "picture": picture, "scalars": scalars}
    config = functional([(name, list(value.shape[1:])) for name, value in given.items()], layers, list(results))
    flat = lambda a: [float(f"{value:.9g}") for value in np.asarray(a).ravel()]
    return {
        "file": text(archive(config, save_all(weights))),
        "inputs": [{"name": name, "data": flat(value)} for name, value in given.items()],
        "outputs": [{"data": flat(result)} for result in results.values()],
    }


made = {
    "keras": {name: text(as_keras(name)) for name in ("dense", "images", "elements", "gates", "joined", "nested", "sequences", "masks", "film")}
    # Masks come out of models within, so the nested model predicts what the flat one does.
    | {"spelled": text(as_keras("speller"))},
    "h5": {name: text(as_h5(name)) for name in ("images", "recurrent", "nested")},
    "own": own_case(),
    "masked": masked_case(),
}
(GOLDEN / "keras.json").write_text(json.dumps(made, indent=0) + "\n")
