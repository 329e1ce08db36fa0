# state_dict of PyTorch's modules, and what they make of an input, for test/io/pytorch.test.ts: python3 test/golden/pytorchState.py
# Inputs and outputs are [batch, …, channels], as here.
import json, os
import torch
from torch import nn

torch.manual_seed(5)
cases = {}


def flat(t):
    t = t.detach().float()
    return {"shape": list(t.shape), "data": [float(f"{v:.9g}") for v in t.reshape(-1).tolist()]}


def last(t):  # channels to the end
    return t.permute(0, *range(2, t.dim()), 1).contiguous() if t.dim() > 2 else t


def case(name, module, x, first=lambda t: t, back=lambda t: t, run=None):
    for m in module.modules():
        if isinstance(m, nn.modules.batchnorm._BatchNorm):
            m.running_mean.normal_(); m.running_var.uniform_(0.5, 2); m.weight.data.normal_(1, 0.3); m.bias.data.normal_()
    module.eval()
    with torch.no_grad():
        y = (run or module)(x)
    state = {k: flat(v) for k, v in module.state_dict().items() if not k.endswith("num_batches_tracked")}
    counts = [k for k in module.state_dict() if k.endswith("num_batches_tracked")]
    cases[name] = {"state": state, "counts": counts, "x": flat(first(x)), "y": flat(back(y))}


class Output(nn.Module):
    def __init__(self, recurrent):
        super().__init__()
        self.add_module("0", recurrent)

    def forward(self, x):
        return getattr(self, "0")(x)[0]


class Itself(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("0", nn.MultiheadAttention(4, 2, batch_first=True))

    def forward(self, x):
        return getattr(self, "0")(x, x, x)[0]


case("dense", nn.Sequential(nn.Linear(5, 4), nn.ReLU(), nn.Linear(4, 3, bias=False)), torch.randn(3, 5))
case("image", nn.Sequential(nn.Conv2d(2, 4, 3, stride=2, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Conv2d(4, 4, (1, 2), groups=2), nn.Flatten(), nn.Dropout(0.5), nn.Linear(4 * 3 * 2, 3)), torch.randn(2, 2, 5, 6), last)
case("sequence", nn.Sequential(nn.Conv1d(3, 4, 2), nn.MaxPool1d(2), nn.Conv1d(4, 8, 2, groups=4), nn.Flatten(), nn.Linear(8 * 2, 2)), torch.randn(2, 3, 7), last)
case("upwards", nn.Sequential(nn.ConvTranspose2d(2, 3, (2, 3), stride=2), nn.GroupNorm(3, 3), nn.PReLU()), torch.randn(2, 2, 3, 2), last, last)
case("volume", nn.Sequential(nn.Conv3d(1, 2, 2), nn.ReLU(), nn.ConvTranspose3d(2, 1, 2)), torch.randn(1, 1, 3, 3, 4), last, last)
case("lstm", Output(nn.LSTM(3, 2, num_layers=2, bidirectional=True, batch_first=True)), torch.randn(2, 4, 3))
case("projection", Output(nn.LSTM(3, 4, proj_size=2, batch_first=True)), torch.randn(2, 4, 3))
case("gru", Output(nn.GRU(3, 2, batch_first=True)), torch.randn(2, 4, 3))
case("simpleRnn", Output(nn.RNN(3, 2, batch_first=True)), torch.randn(2, 4, 3))
case("attention", Itself(), torch.randn(2, 3, 4))
case("encoder", nn.Sequential(nn.TransformerEncoderLayer(4, 2, 6, batch_first=True), nn.LayerNorm(4)), torch.randn(2, 3, 4))
table = nn.Sequential(nn.Embedding(7, 3), nn.Flatten(), nn.Linear(6, 2))
case("embedding", table, torch.tensor([[1, 2], [6, 0]]))

with open(os.path.join(os.path.dirname(__file__), "pytorchState.json"), "w") as file:
    json.dump(cases, file, separators=(",", ":"))
    file.write("\n")
