"""PyTorch as a peer: the protocol of ../peer.ts in Python. Argument: number of threads."""
import base64
import ctypes
import importlib
import inspect
import json
import math
import os
import re
import sys
import time

reply_to = sys.stdout
sys.stdout = sys.stderr


def reply(answer):
    reply_to.write(json.dumps(answer) + "\n")
    reply_to.flush()


try:
    import numpy
    import torch
    import torch.nn.functional as F
    import pytorchLayers
except ImportError as error:
    reply({"leftOut": f"no PyTorch: {error} (Debian: apt-get install python3-torch)"})
    sys.exit(0)


def decode(value):
    if "float32" in value:
        return torch.from_numpy(numpy.frombuffer(base64.b64decode(value["float32"]), "<f4").copy())
    if "uint32" in value:
        return torch.from_numpy(numpy.frombuffer(base64.b64decode(value["uint32"]), "<u4").astype(numpy.int64))
    return value


ACTIVATIONS = {"relu": torch.relu, "tanh": torch.tanh, "sigmoid": torch.sigmoid}
LOSSES = {"softmaxCrossEntropy": F.cross_entropy, "binaryCrossEntropy": F.binary_cross_entropy_with_logits}


def forward(parameters, x, activation):
    """Weights as torch.nn.Linear has them: [units, inputs]."""
    for i in range(0, len(parameters), 2):
        x = F.linear(x if i == 0 else activation(x), parameters[i], parameters[i + 1])
    return x


def parameters_of(task):
    sizes = task["sizes"]
    values = []
    for i, value in enumerate(task["initial"]):
        inputs, units = sizes[i // 2], sizes[i // 2 + 1]
        values.append(value.reshape(inputs, units).t().contiguous() if i % 2 == 0 else value)
    return values


class Training:
    def __init__(self, task):
        self.task = task
        self.initial = parameters_of(task)
        self.parameters = [value.clone().requires_grad_() for value in self.initial]
        batches, batch = task["batches"], task["batch"]
        self.x = task["x"].reshape(batches, batch, -1)
        classes = task["loss"] == "softmaxCrossEntropy"
        self.y = task["y"].reshape((batches, batch) if classes else (batches, batch, -1))
        self.activation = ACTIVATIONS[task["hidden"]]
        self.loss = LOSSES[task["loss"]]
        self.reset()

    def reset(self):
        with torch.no_grad():
            for parameter, value in zip(self.parameters, self.initial):
                parameter.copy_(value)
        optimizer = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[self.task["optimizer"]]
        self.optimizer = optimizer(self.parameters, lr=self.task["learningRate"])
        self.next = 0

    def step(self):
        i = self.next
        self.next = (i + 1) % self.task["batches"]
        self.optimizer.zero_grad(set_to_none=True)
        loss = self.loss(forward(self.parameters, self.x[i], self.activation), self.y[i])
        loss.backward()
        self.optimizer.step()
        return loss

    def results(self):
        return [self.step().item() for _ in range(self.task["results"])]


class Cnn:
    """Its own layout: channels before height and width, and the dense layer's inputs in that order."""

    def __init__(self, task):
        self.task = task
        size, (first, second), classes = task["size"], task["filters"], task["classes"]
        left = ((size - 2) // 2 - 2) // 2
        w1, b1, w2, b2, w3, b3 = task["initial"]
        w1 = w1.reshape(3, 3, 1, first).permute(3, 2, 0, 1).contiguous()
        w2 = w2.reshape(3, 3, first, second).permute(3, 2, 0, 1).contiguous()
        w3 = w3.reshape(left, left, second, classes).permute(3, 2, 0, 1).reshape(classes, -1).contiguous()
        self.initial = [w1, b1, w2, b2, w3, b3]
        self.parameters = [value.clone().requires_grad_() for value in self.initial]
        self.x = task["x"].reshape(task["batches"], task["batch"], 1, size, size)
        self.y = task["y"].reshape(task["batches"], task["batch"])
        self.reset()

    def reset(self):
        with torch.no_grad():
            for parameter, value in zip(self.parameters, self.initial):
                parameter.copy_(value)
        self.optimizer = torch.optim.Adam(self.parameters, lr=self.task["learningRate"])
        self.next = 0

    def step(self):
        i = self.next
        self.next = (i + 1) % self.task["batches"]
        self.optimizer.zero_grad(set_to_none=True)
        w1, b1, w2, b2, w3, b3 = self.parameters
        x = F.max_pool2d(torch.relu(F.conv2d(self.x[i], w1, b1)), 2)
        x = F.max_pool2d(torch.relu(F.conv2d(x, w2, b2)), 2)
        loss = F.cross_entropy(F.linear(x.flatten(1), w3, b3), self.y[i])
        loss.backward()
        self.optimizer.step()
        return loss

    def results(self):
        return [self.step().item() for _ in range(self.task["results"])]


class Recurrent:
    """Its own layout: the transposes. The LSTM's second bias stays 0, as here there is one."""

    def __init__(self, task):
        self.task = task
        time, inputs, units, classes = (task[name] for name in ("time", "inputs", "units", "classes"))
        lstm = task["cell"] == "lstm"
        width = units * (4 if lstm else 3)
        weight, recurrent, bias, *rest = task["initial"]
        second, dense, dense_bias = [torch.zeros(width), *rest] if lstm else rest
        self.layer = (torch.nn.LSTM if lstm else torch.nn.GRU)(inputs, units, batch_first=True)
        self.dense = torch.nn.Linear(units, classes)
        transposed = lambda values, rows, columns: values.reshape(rows, columns).t().contiguous()
        self.initial = [
            transposed(weight, inputs, width), transposed(recurrent, units, width), bias, second,
            transposed(dense, units, classes), dense_bias,
        ]
        self.parameters = [*self.layer.parameters(), *self.dense.parameters()]
        if lstm:
            self.layer.bias_hh_l0.requires_grad_(False)
        self.x = task["x"].reshape(task["batches"], task["batch"], time, inputs)
        self.y = task["y"].reshape(task["batches"], task["batch"])
        self.reset()

    def reset(self):
        with torch.no_grad():
            for parameter, value in zip(self.parameters, self.initial):
                parameter.copy_(value)
        trained = [parameter for parameter in self.parameters if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(trained, lr=self.task["learningRate"])
        self.next = 0

    def step(self):
        i = self.next
        self.next = (i + 1) % self.task["batches"]
        self.optimizer.zero_grad(set_to_none=True)
        y, _ = self.layer(self.x[i])
        loss = F.cross_entropy(self.dense(y[:, -1]), self.y[i])
        loss.backward()
        self.optimizer.step()
        return loss

    def results(self):
        return [self.step().item() for _ in range(self.task["results"])]


class CharacterModel:
    """Parameters as in ../javascript/transformer.ts: weights [inputs, units], which torch's linear takes transposed."""

    def __init__(self, task):
        self.task = task
        width = task["width"]
        count = task["blocks"]
        self.initial = []
        shapes = [(task["characters"], width), (task["time"], width)]
        dense = lambda inputs, units: [(inputs, units), (units,)]
        norm = [(width,), (width,)]
        block = [*norm, *dense(width, 3 * width), *dense(width, width), *norm, *dense(width, task["hidden"]), *dense(task["hidden"], width)]
        shapes += block * count + norm + dense(width, task["characters"])
        for index, (value, shape) in enumerate(zip(task["initial"], shapes)):
            value = value.reshape(shape)
            self.initial.append(value.t().contiguous() if index > 1 and len(shape) == 2 else value.clone())
        self.parameters = [value.clone().requires_grad_() for value in self.initial]
        self.mask = torch.ones(task["time"], task["time"], dtype=torch.bool).triu(1)

    def split(self, x):
        batch, time, _ = x.shape
        return x.view(batch, time, self.task["heads"], -1).transpose(1, 2)

    def attend(self, q, k, v):
        if hasattr(F, "scaled_dot_product_attention"):
            return F.scaled_dot_product_attention(q, k, v, is_causal=q.shape[2] > 1)
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[3])
        if q.shape[2] > 1:
            scores = scores.masked_fill(self.mask[: q.shape[2], : k.shape[2]], -math.inf)
        return torch.softmax(scores, -1) @ v

    def logits(self, tokens, start=0, caches=None):
        words, positions, *rest = self.parameters
        width, time = self.task["width"], tokens.shape[1]
        x = F.embedding(tokens, words) + positions[start : start + time]
        for index in range(self.task["blocks"]):
            p = rest[12 * index : 12 * index + 12]
            y = F.layer_norm(x, (width,), p[0], p[1])
            q, k, v = (self.split(part) for part in F.linear(y, p[2], p[3]).split(width, 2))
            if caches is not None:
                keys, values = caches[index]
                keys[:, :, start : start + time] = k
                values[:, :, start : start + time] = v
                k, v = keys[:, :, : start + time], values[:, :, : start + time]
            y = self.attend(q, k, v).transpose(1, 2).reshape(x.shape)
            x = x + F.linear(y, p[4], p[5])
            y = F.layer_norm(x, (width,), p[6], p[7])
            x = x + F.linear(torch.relu(F.linear(y, p[8], p[9])), p[10], p[11])
        return F.linear(F.layer_norm(x, (width,), rest[-4], rest[-3]), rest[-2], rest[-1])


class Transformer(CharacterModel):
    def __init__(self, task):
        super().__init__(task)
        shape = (task["batches"], task["batch"], task["time"])
        self.x, self.y = task["x"].reshape(shape), task["y"].reshape(shape)
        self.reset()

    def reset(self):
        with torch.no_grad():
            for parameter, value in zip(self.parameters, self.initial):
                parameter.copy_(value)
        self.optimizer = torch.optim.Adam(self.parameters, lr=self.task["learningRate"])
        self.next = 0

    def step(self):
        i = self.next
        self.next = (i + 1) % self.task["batches"]
        self.optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(self.logits(self.x[i]).flatten(0, 1), self.y[i].flatten())
        loss.backward()
        self.optimizer.step()
        return loss

    def results(self):
        return [self.step().item() for _ in range(self.task["results"])]


class Sample(CharacterModel):
    """Keys and values stay in tensors of their own, into which each character's are written."""

    def __init__(self, task):
        super().__init__(task)
        self.x = task["x"].reshape(1, -1)
        shape = (1, task["heads"], task["time"], task["width"] // task["heads"])
        self.caches = [(torch.zeros(shape), torch.zeros(shape)) for _ in range(task["blocks"])]
        self.reset()

    def reset(self):
        self.position = 0

    def step(self):
        with torch.no_grad():
            if self.position == self.task["time"]:
                self.position = 0
            at = self.position
            self.position += 1
            return torch.softmax(self.logits(self.x[:, at : at + 1], at, self.caches), -1)

    def results(self):
        self.reset()
        return torch.cat([self.step().flatten() for _ in range(self.task["time"])]).tolist()


class Prediction:
    def __init__(self, task):
        self.parameters = parameters_of(task)
        self.x = task["x"].reshape(1, -1)

    def reset(self):
        pass

    def step(self):
        with torch.no_grad():
            return torch.softmax(forward(self.parameters, self.x, torch.relu), 1)

    def results(self):
        return self.step().flatten().tolist()


class Product:
    def __init__(self, task):
        n = task["n"]
        self.a, self.b = task["a"].reshape(n, n), task["b"].reshape(n, n)
        self.c = torch.empty(n, n)

    def reset(self):
        pass

    def step(self):
        torch.mm(self.a, self.b, out=self.c)

    def results(self):
        self.step()
        return self.c.flatten().tolist()


class Convolution:
    """Its own layout: channels before height and width."""

    def __init__(self, task):
        n, height, width, channels = (task[name] for name in ("batch", "height", "width", "channels"))
        filters, window, self.padding = task["filters"], task["window"], task["padding"]
        self.places = task["places"]
        self.x = task["x"].reshape(n, height, width, channels).permute(0, 3, 1, 2).contiguous().requires_grad_()
        weight = task["weight"].reshape(window, window, channels, filters)
        self.weight = weight.permute(3, 2, 0, 1).contiguous().requires_grad_()
        self.upstream = self.output().detach()
        sizes = self.upstream.permute(0, 2, 3, 1).shape
        self.upstream = task["upstream"].reshape(sizes).permute(0, 3, 1, 2).contiguous()

    def output(self):
        return F.conv2d(self.x, self.weight, padding=self.padding)

    def reset(self):
        pass

    def step(self):
        y = self.output()
        return y, *torch.autograd.grad(y, (self.x, self.weight), self.upstream)

    def results(self):
        y, dx, dweight = self.step()
        here = [y.permute(0, 2, 3, 1), dx.permute(0, 2, 3, 1), dweight.permute(2, 3, 1, 0)]
        return [value for t, at in zip(here, self.places) for value in t.flatten()[at].tolist()]


def mend_nadam():
    """PyTorch before 2.0 multiplies the product of the momenta by the current one twice: see test/golden/optimizers.py."""
    nadam = importlib.import_module("torch.optim.nadam")
    source = inspect.getsource(nadam._single_tensor_nadam)
    exec(source.replace("mu_product * mu * mu_next", "mu_product * mu_next"), vars(nadam))


class Optimizer:
    """Values are those of ../javascript/optimizers.ts."""

    CREATE = {
        "sgd": torch.optim.SGD,
        "momentum": lambda parameters, lr: torch.optim.SGD(parameters, lr=lr, momentum=0.9),
        "adam": torch.optim.Adam, "adamW": torch.optim.AdamW, "adamax": torch.optim.Adamax, "nadam": torch.optim.NAdam,
        "radam": torch.optim.RAdam, "rmsprop": torch.optim.RMSprop, "adagrad": torch.optim.Adagrad,
        "adadelta": torch.optim.Adadelta, "rprop": torch.optim.Rprop,
    }

    def __init__(self, task):
        self.task = task
        if task["name"] == "nadam":
            mend_nadam()
        self.create = self.CREATE[task["name"]]
        tensors, length = task["tensors"], task["length"]
        numbers = numpy.arange(1, tensors * length + 1, dtype=numpy.uint32)
        scale = numbers * numpy.uint32(2654435761)
        values = ((scale / 2**32 - 0.5) * 0.2).astype("<f4")
        bits = numbers * numpy.uint32(2246822519)
        usual = (0.5 + bits / 2**33) * 0.01
        magnitudes = usual if task["gradients"] == "usual" else numpy.where(numbers % 2 == 1, 1.2e-38, 1e-20)
        gradients = numpy.where(bits & 65536, -magnitudes, magnitudes).astype("<f4")
        split = lambda flat: [part.clone() for part in torch.from_numpy(flat).split(length)]
        self.initial, self.gradients = split(values), split(gradients)
        self.bound = task.get("bound")
        self.restores = self.bound is not None
        self.reset()

    def reset(self):
        self.parameters = [value.clone().requires_grad_() for value in self.initial]
        for parameter, gradient in zip(self.parameters, self.gradients):
            parameter.grad = gradient.clone()
        self.optimizer = self.create(self.parameters, lr=self.task["learningRate"])

    def restore(self):
        """Not timed: clipping scales the gradients, which a training writes again before each step."""
        if self.restores:
            for parameter, gradient in zip(self.parameters, self.gradients):
                parameter.grad.copy_(gradient)

    def step(self):
        if self.bound is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.bound)
        self.optimizer.step()

    def results(self):
        for _ in range(self.task["steps"]):
            self.restore()
            self.step()
        flat = torch.cat([parameter.detach() for parameter in self.parameters])
        return flat[self.task["places"]].tolist()


def loaded_libraries():
    """Paths of the libraries in this process."""
    try:
        with open("/proc/self/maps", encoding="utf-8") as maps:
            return sorted({line.split(maxsplit=5)[5].strip() for line in maps if "/" in line})
    except OSError:
        return []


def library_with(name, symbol):
    """The loaded library whose path has the name and which has the symbol."""
    for path in loaded_libraries():
        if name not in path:
            continue
        library = ctypes.CDLL(path)
        if hasattr(library, symbol):
            return library
    return None


def blas():
    """Whose matrix products these are, and the kernels that it has chosen for this processor."""
    openblas = library_with("openblas", "openblas_get_corename")
    if openblas is not None:
        openblas.openblas_get_corename.restype = openblas.openblas_get_config.restype = ctypes.c_char_p
        core = openblas.openblas_get_corename().decode()
        version = " ".join(openblas.openblas_get_config().decode().split()[:2])
        pinned = ", set by OPENBLAS_CORETYPE" if os.environ.get("OPENBLAS_CORETYPE") else ""
        return f"{version} ({core} kernels{pinned})"
    if uses_reference_blas():
        return "the reference BLAS"
    found = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    return f"the BLAS {found[1]}" if found else "an unknown BLAS"


# Bits that an instruction set has: dnnl_cpu_isa_t in oneDNN's dnnl_types.h.
ONEDNN_SETS = [(0x27, "AVX-512"), (0x7, "AVX2"), (0x3, "AVX"), (0x1, "SSE4.1")]


def onednn():
    """What computes convolutions, and its instruction set; None where it is built in without these functions, or not at all."""
    library = library_with("dnnl", "dnnl_get_effective_cpu_isa") or library_with("torch_cpu", "dnnl_get_effective_cpu_isa")
    if library is None or not torch.backends.mkldnn.is_available():
        return None
    has = library.dnnl_get_effective_cpu_isa()
    chosen = next((name for bits, name in ONEDNN_SETS if has & bits == bits), "unknown instruction set")
    library.dnnl_version.restype = ctypes.POINTER(ctypes.c_int)
    return f"oneDNN {'.'.join(map(str, library.dnnl_version()[:3]))} ({chosen})"


def libraries():
    """For the line about the machine: its speed is theirs."""
    return "PyTorch with " + " and ".join(filter(None, [blas(), onednn()]))


def uses_reference_blas():
    """Debian's PyTorch takes the BLAS that is installed; the reference implementation is no fair opponent."""
    loaded = loaded_libraries()
    return any("/blas/libblas.so" in path for path in loaded) and not any("openblas" in path for path in loaded)


NOTE = "calculates with the slow reference BLAS; Debian: apt-get install libopenblas0-pthread"

KINDS = {
    "train": Training, "cnn": Cnn, "recurrent": Recurrent,
    "transformer": Transformer, "sample": Sample, "predict": Prediction, "product": Product, "convolution": Convolution,
    "layer": pytorchLayers.Layer, "optimizer": Optimizer,
}


def prepare(message):
    task = message["task"]
    if task["kind"] == "layer" and task["name"] not in pytorchLayers.CASES:
        return None, {"leftOut": "PyTorch has no such layer"}
    if task["kind"] == "optimizer" and task["name"] not in Optimizer.CREATE:
        return None, {"leftOut": "PyTorch has no such optimizer"}
    session = KINDS[task["kind"]](task)
    # JSON has no NaN.
    results = [value if math.isfinite(value) else None for value in session.results()]
    session.reset()
    answer = {"results": results, "alike": True}
    return session, {**answer, "note": NOTE} if uses_reference_blas() else answer


def run(session, steps):
    if not getattr(session, "restores", False):
        return {"elapsedMs": timed(session, steps)}
    elapsed = 0
    for _ in range(steps):
        session.restore()
        elapsed += timed(session, 1)
    return {"elapsedMs": elapsed}


def timed(session, steps):
    start = time.perf_counter()
    for _ in range(steps):
        session.step()
    return (time.perf_counter() - start) * 1e3


def main():
    torch.set_num_threads(int(sys.argv[1]))
    reply({"version": torch.__version__, "libraries": libraries()})
    session = None
    for line in sys.stdin:
        try:
            message = json.loads(line, object_hook=decode)
            if message["command"] == "prepare":
                session, answer = prepare(message)
                reply(answer)
            elif message["command"] == "reset":
                session.reset()
                reply({})
            else:
                reply(run(session, message["steps"]))
        except Exception as error:  # whatever PyTorch throws is the answer
            reply({"error": f"{type(error).__name__}: {error}"})


main()
