# Models of PyTorch as ONNX files, and what they give: python3 test/onnx/files/record.py. PyTorch 1.13, CPU.
import json
import os

import numpy as np
import onnx
import torch
from torch import nn

torch.manual_seed(5)
here = os.path.dirname(os.path.abspath(__file__))


class Cnn(nn.Module):
    """Convolutions with batch normalization, a skip, pooling of both kinds, and dense rows behind a flattened image."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 8, 3, padding=1)
        self.norm = nn.BatchNorm2d(8)
        self.second = nn.Conv2d(8, 8, 3, padding=1, groups=2)
        self.third = nn.Conv2d(8, 16, 3, stride=2)
        self.head = nn.Sequential(nn.Linear(16 * 3 * 2, 12), nn.ReLU(), nn.Dropout(0.5), nn.Linear(12, 5))

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = x + nn.functional.leaky_relu(self.second(x), 0.1)
        x = nn.functional.max_pool2d(x, 2)
        x = nn.functional.elu(self.third(x))
        x = nn.functional.avg_pool2d(x, 2, stride=1, padding=1, count_include_pad=False)[:, :, :3, :2]
        return self.head(x.reshape(x.shape[0], -1))


class Mixer(nn.Module):
    """Products of three axes, layer normalization, softmax, splits and a mean: a block of attention written out."""

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(11, 8)
        self.project = nn.Linear(8, 24)
        self.norm = nn.LayerNorm(8)
        self.out = nn.Linear(8, 3)

    def forward(self, tokens):
        x = self.embed(tokens)
        q, k, v = self.project(x).chunk(3, dim=-1)
        weights = torch.softmax(q @ k.transpose(1, 2) / 8**0.5, dim=-1)
        x = self.norm(x + weights @ v)
        return self.out(nn.functional.gelu(x).mean(dim=1))


def save(name, model, x, input_names, opset):
    for buffer in model.buffers():
        if buffer.dtype == torch.float32:
            buffer.copy_(torch.rand_like(buffer) + 0.5)
    model.eval()
    path = os.path.join(here, name + ".onnx")
    torch.onnx.export(model, x, path, input_names=input_names, output_names=["y"], opset_version=opset,
                      training=torch.onnx.TrainingMode.PRESERVE,
                      dynamic_axes={input_names[0]: {0: "batch"}, "y": {0: "batch"}})
    onnx.checker.check_model(onnx.load(path))
    exact = model.double()
    y = exact(x.double() if x.is_floating_point() else x)
    return {"name": name, "x": x.flatten().tolist(), "y": [float(v) for v in y.flatten()]}


with torch.no_grad():
    recorded = [
        save("torchCnn", Cnn(), torch.tensor(np.round(np.random.RandomState(1).randn(3, 1, 12, 10), 3), dtype=torch.float32), ["image"], 13),
        save("torchMixer", Mixer(), torch.tensor(np.random.RandomState(2).randint(0, 11, (2, 6))), ["tokens"], 16),
    ]
json.dump(recorded, open(os.path.join(here, "recorded.json"), "w"))
