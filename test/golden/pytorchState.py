# For test/io/pytorch.test.ts: state_dict of PyTorch's modules, with what they make of an input; and what the same modules make of it with
# our parameters, which test/io/pytorchModels.ts writes as files of toPyTorch: python3 test/golden/pytorchState.py
# Inputs and outputs are [batch, …, channels], as here.
import hashlib, json, os, struct, subprocess, tempfile
import numpy as np
import torch
from torch import nn

torch.manual_seed(5)
HERE = os.path.dirname(os.path.abspath(__file__))
COUNT = "num_batches_tracked"
cases = {}


def flat(t):
    t = t.detach().float()
    return {"shape": list(t.shape), "data": [float(f"{v:.9g}") for v in t.reshape(-1).tolist()]}


def last(t):  # channels to the end
    return t.permute(0, *range(2, t.dim()), 1).contiguous() if t.dim() > 2 else t


def same(t):
    return t


def read(path):
    """A safetensors file, as its specification says: tensors by name, with their dtypes."""
    data = open(path, "rb").read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    kinds = {"F32": "<f4", "I64": "<i8"}
    body = data[8 + length :]
    arrays = {
        name: np.frombuffer(body[slice(*one["data_offsets"])], kinds[one["dtype"]]).reshape(one["shape"])
        for name, one in header.items() if name != "__metadata__"
    }
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}, hashlib.sha256(data).hexdigest()


def run(module, inputs):
    # With gradients: without them, 1.13 has another way for attention, which does not know of missing biases.
    return module.eval()(*inputs.values())


def case(name, module, x, first=same, back=same, count=0):
    """x: a tensor, or several by name. first and back: of inputs and outputs in our order of axes."""
    inputs = x if isinstance(x, dict) else {"x": x}
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._NormBase) and m.running_mean is not None:
            m.running_mean.normal_(); m.running_var.uniform_(0.5, 2); m.num_batches_tracked.fill_(count)
        if isinstance(m, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)) and m.weight is not None:
            m.weight.data.normal_(1, 0.3); m.bias.data.normal_()
        if isinstance(m, nn.MultiheadAttention) and m.in_proj_bias is not None:
            m.in_proj_bias.data.normal_(0, 0.3); m.out_proj.bias.data.normal_(0, 0.3)
        if isinstance(m, nn.PReLU):
            m.weight.data.uniform_(0.1, 0.5)
    y = run(module, inputs)
    own = module.state_dict()
    cases[name] = {
        "state": {k: flat(v) for k, v in own.items() if not k.endswith(COUNT)},
        "counts": {k: int(v) for k, v in own.items() if k.endswith(COUNT)},
        "inputs": {k: flat(first(v)) for k, v in inputs.items()},
        "y": flat(back(y)),
    }
    ours, digest = read(os.path.join(FILES, f"{name}.safetensors"))
    verdict = str(module.load_state_dict(ours, strict=True))
    other = [k for k, v in own.items() if ours[k].dtype != v.dtype]
    assert not other, f"{name}: {other} are of another dtype"
    # Whatever of the file PyTorch has not taken over.
    lost = [k for k, v in module.state_dict().items() if not torch.equal(v, ours[k])]
    assert not lost, f"{name}: {lost} were not taken over"
    cases[name]["ours"] = {"sha256": digest, "verdict": verdict, "y": flat(back(run(module, inputs)))}


class Named(nn.Module):
    """One layer, called "0" as in a Sequential, and how it is called."""

    def __init__(self, layer, call):
        super().__init__()
        self.add_module("0", layer)
        self.call = call

    def forward(self, *xs):
        return self.call(getattr(self, "0"), *xs)


class RMSNorm(nn.Module):
    """As of PyTorch 2.4, which 1.13 does not have: https://docs.pytorch.org/docs/stable/generated/torch.nn.RMSNorm.html"""

    def __init__(self, features):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(features))

    def forward(self, x):
        return x / (x.square().mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt() * self.weight


class Positions(nn.Embedding):
    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def output(layer):  # of a recurrent layer
    return Named(layer, lambda layer, x: layer(x)[0])


def attention(*size, **options):
    def call(layer, x, memory=None, value=None):
        keys = x if memory is None else memory
        return layer(x, keys, keys if value is None else value)[0]

    return Named(nn.MultiheadAttention(*size, batch_first=True, **options), call)


def causal(layer, x, memory):
    mask = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
    return layer(x, memory, tgt_mask=mask)


with tempfile.TemporaryDirectory() as FILES:
    subprocess.run(["npx", "tsx", os.path.join(HERE, "../io/pytorchModels.ts"), FILES], check=True, cwd=os.path.join(HERE, "../.."))
    case("dense", nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)), torch.randn(3, 5))
    case("bilinear", Named(nn.Bilinear(3, 2, 4), lambda layer, a, b: layer(a, b)), {"a": torch.randn(2, 3), "b": torch.randn(2, 2)})
    case("image", nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, (1, 2), groups=2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 3 * 2, 3)), torch.randn(2, 2, 5, 6), last)
    case("flattened", nn.Sequential(nn.Conv2d(1, 3, 2), nn.Flatten(), nn.BatchNorm1d(12), nn.PReLU(12), nn.LayerNorm(12), nn.Linear(12, 2)), torch.randn(2, 1, 3, 3), last)
    case("nested", nn.Sequential(nn.Sequential(nn.Conv2d(1, 2, 2), nn.ReLU()), Residual(nn.Conv2d(2, 2, 3, padding=1), nn.Tanh()), nn.LayerNorm([2, 2, 3]), nn.Flatten(), nn.Linear(12, 2)), torch.randn(2, 1, 3, 4), last)
    case("sequence", nn.Sequential(nn.Conv1d(3, 4, 2), nn.MaxPool1d(2), nn.Conv1d(4, 8, 2, groups=4), nn.Flatten(), nn.Linear(8 * 2, 2)), torch.randn(2, 3, 7), last)
    case("depthwise1d", nn.Sequential(nn.Conv1d(3, 6, 3, groups=3), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 5, 2)), torch.randn(2, 3, 7), last)
    case("depthwise2d", nn.Sequential(nn.Conv2d(3, 6, (3, 2), groups=3, stride=(1, 2)), nn.Conv2d(6, 6, 2, groups=6, bias=False), nn.Conv2d(6, 2, 1)), torch.randn(2, 3, 5, 6), last, last)
    case("upwards1d", nn.Sequential(nn.ConvTranspose1d(3, 4, 3, stride=2, padding=1, output_padding=1), nn.ConvTranspose1d(4, 6, 2, groups=2)), torch.randn(2, 3, 4), last, last)
    case("upwards", nn.Sequential(nn.ConvTranspose2d(2, 3, (2, 3), stride=2), nn.GroupNorm(3, 3), nn.PReLU(), nn.ConvTranspose2d(3, 6, 2, groups=3, bias=False), nn.PReLU(6)), torch.randn(2, 2, 3, 2), last, last)
    case("volume", nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.ConvTranspose3d(2, 1, 2)), torch.randn(1, 1, 3, 3, 4), last, last)
    case("batchNorm1d", nn.Sequential(nn.Linear(5, 4), nn.BatchNorm1d(4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(3, 5), count=12)
    case("cumulative", nn.Sequential(nn.Conv1d(2, 3, 2), nn.BatchNorm1d(3, momentum=None), nn.BatchNorm1d(3, affine=False)), torch.randn(2, 2, 4), last, last, count=7)
    case("instanceNorm", nn.Sequential(nn.InstanceNorm2d(3, affine=True), nn.InstanceNorm2d(3, affine=True, track_running_stats=True), nn.InstanceNorm2d(3)), torch.randn(2, 3, 3, 2), last, last)
    case("groupNorm", nn.Sequential(nn.GroupNorm(2, 4), nn.Conv1d(4, 6, 1), nn.GroupNorm(3, 6, affine=False)), torch.randn(2, 4, 3), last, last)
    case("rmsNorm", nn.Sequential(nn.Linear(3, 4), RMSNorm(4)), torch.randn(2, 3))
    case("lstm", output(nn.LSTM(3, 2, num_layers=2, bidirectional=True, batch_first=True)), torch.randn(2, 4, 3))
    case("unbiased", output(nn.LSTM(3, 2, bias=False, batch_first=True)), torch.randn(2, 4, 3))
    case("projection", output(nn.LSTM(3, 4, proj_size=2, batch_first=True)), torch.randn(2, 4, 3))
    case("gru", output(nn.GRU(3, 2, batch_first=True)), torch.randn(2, 4, 3))
    case("bothWaysGru", output(nn.GRU(3, 2, num_layers=2, bidirectional=True, batch_first=True)), torch.randn(2, 4, 3))
    case("simpleRnn", output(nn.RNN(3, 2, batch_first=True)), torch.randn(2, 4, 3))
    case("bothWaysRnn", output(nn.RNN(3, 2, nonlinearity="relu", bidirectional=True, batch_first=True)), torch.randn(2, 4, 3))
    case("attention", attention(4, 2), torch.randn(2, 3, 4))
    case("unbiasedAttention", attention(4, 2, bias=False), torch.randn(2, 3, 4))
    case("toMemory", attention(4, 2), {"x": torch.randn(2, 3, 4), "memory": torch.randn(2, 5, 4)})
    case("toOthers", attention(4, 2, kdim=6, vdim=6), {"x": torch.randn(2, 3, 4), "memory": torch.randn(2, 5, 6)})
    case("toValues", attention(4, 2), {name: torch.randn(2, size, 4) for name, size in (("x", 3), ("memory", 5), ("value", 5))})
    case("toOtherValues", attention(4, 2, kdim=6, vdim=3), {"x": torch.randn(2, 3, 4), "memory": torch.randn(2, 5, 6), "value": torch.randn(2, 5, 3)})
    case("encoder", nn.Sequential(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), nn.LayerNorm(4)), torch.randn(2, 3, 4))
    case("encoderBefore", nn.Sequential(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True, norm_first=True, activation="gelu")), torch.randn(2, 3, 4))
    case("decoder", Named(nn.TransformerDecoderLayer(4, 2, 6, batch_first=True), causal), {"x": torch.randn(2, 3, 4), "memory": torch.randn(2, 5, 4)})
    case("embedding", nn.Sequential(nn.Embedding(7, 3), Positions(5, 3), nn.Flatten(), nn.Linear(6, 2)), torch.tensor([[1, 2], [6, 0]]))

lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(one, separators=(',', ':'))}" for name, one in cases.items())
with open(os.path.join(HERE, "pytorchState.json"), "w") as file:
    file.write(f"{{\n{lines}\n}}\n")
