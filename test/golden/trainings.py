"""Records test/golden/trainings.json: the losses of 200 steps of five kinds of models with five optimizers.

Run with `/usr/bin/python3 test/golden/trainings.py` (PyTorch 1.13). Weights and batches are not recorded, as formulas give
them: see starts.py, `batch`, and test/train/trainings.test.ts. `float32Errors` are PyTorch's own, in float32 against float64.
"""

import json
import pathlib

import torch
from starts import start, take, weights
from torch import nn, optim

STEPS, ROWS, CLASSES = 200, 8, 4


class Mlp(nn.Module):
    sample = [6]

    def __init__(self):
        super().__init__()
        self.hidden, self.logits = nn.Linear(6, 16), nn.Linear(16, CLASSES)

    def forward(self, x):
        return self.logits(torch.relu(self.hidden(x)))

    def order(self):
        return [self.hidden.weight.T, self.hidden.bias, self.logits.weight.T, self.logits.bias]


class Cnn(nn.Module):
    sample = [6, 6, 2]

    def __init__(self):
        super().__init__()
        # Before a normalization a bias has no gradient but rounding, which Adam would make steps of.
        self.conv1, self.norm1 = nn.Conv2d(2, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4)
        self.conv2, self.norm2 = nn.Conv2d(4, 6, 3, bias=False), nn.BatchNorm2d(6)
        self.logits = nn.Linear(6 * 4, CLASSES)

    def forward(self, x):
        hidden = torch.relu(self.norm1(self.conv1(x.permute(0, 3, 1, 2))))
        hidden = nn.functional.max_pool2d(torch.relu(self.norm2(self.conv2(hidden))), 2)
        return self.logits(hidden.permute(0, 2, 3, 1).flatten(1))

    def order(self):
        found = []
        for conv, norm in [(self.conv1, self.norm1), (self.conv2, self.norm2)]:
            found += [conv.weight.permute(2, 3, 1, 0), norm.weight, norm.bias]
        return found + [self.logits.weight.T, self.logits.bias]


class Recurrent(nn.Module):
    sample = [7, 3]

    def __init__(self, cell):
        super().__init__()
        self.memory, self.logits = cell(3, 8, batch_first=True), nn.Linear(8, CLASSES)
        if cell is nn.LSTM:
            # The library has one bias. With Adam, two would move twice as far.
            nn.init.zeros_(self.memory.bias_hh_l0).requires_grad_(False)

    def forward(self, x):
        return self.logits(self.memory(x)[0][:, -1])

    def order(self):
        memory = self.memory
        biases = [memory.bias_ih_l0] + ([memory.bias_hh_l0] if memory.bias_hh_l0.requires_grad else [])
        return [memory.weight_ih_l0.T, memory.weight_hh_l0.T, *biases, self.logits.weight.T, self.logits.bias]


class Transformer(nn.Module):
    sample = [5, 3]

    def __init__(self):
        super().__init__()
        self.features = nn.Linear(3, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0, activation="gelu", batch_first=True)
        self.logits = nn.Linear(5 * 8, CLASSES)

    def forward(self, x):
        return self.logits(self.block(self.features(x)).flatten(1))

    def order(self):
        block, attention = self.block, self.block.self_attn
        found = [self.features.weight.T, self.features.bias, attention.in_proj_weight.T, attention.in_proj_bias]
        found += [attention.out_proj.weight.T, attention.out_proj.bias, block.norm1.weight, block.norm1.bias]
        found += [block.linear1.weight.T, block.linear1.bias, block.linear2.weight.T, block.linear2.bias]
        return found + [block.norm2.weight, block.norm2.bias, self.logits.weight.T, self.logits.bias]


def batch(numbers, sample):
    """Classes are drawn first. In a sample every fourth number, from that of its class on, is larger by 0.75."""
    y = ((take(numbers, [ROWS]) + 1) * 2).floor().long()
    x = take(numbers, [ROWS, *sample])
    x.view(ROWS, -1)[torch.arange(x[0].numel()) % CLASSES == y[:, None]] += 0.75
    return x.float(), y


MODELS = {
    "MLP": Mlp,
    "CNN": Cnn,
    "LSTM": lambda: Recurrent(nn.LSTM),
    "GRU": lambda: Recurrent(nn.GRU),
    "transformer": Transformer,
}
OPTIMIZERS = {
    "adam": lambda p: optim.Adam(p, lr=3e-3),
    "adamW": lambda p: optim.AdamW(p, lr=3e-3, weight_decay=0.1),
    "rmsprop": lambda p: optim.RMSprop(p, lr=1e-3),
    "momentum": lambda p: optim.SGD(p, lr=2e-2, momentum=0.9),
    "adagrad": lambda p: optim.Adagrad(p, lr=2e-2),
}


def losses(create, optimize, dtype):
    model = create().to(dtype)
    with torch.no_grad():
        start(model, model.order())
    optimizer = optimize([p for p in model.parameters() if p.requires_grad])
    numbers, found = weights(2), []
    for _ in range(STEPS):
        x, y = batch(numbers, model.sample)
        loss = nn.functional.cross_entropy(model(x.to(dtype)), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


golden = {"torch": torch.__version__, "losses": {}, "float32Errors": {}}
for kind, create in MODELS.items():
    for name, optimize in OPTIMIZERS.items():
        exact, single = losses(create, optimize, torch.float64), losses(create, optimize, torch.float32)
        worst = max(abs(a - b) / a for a, b in zip(exact, single))
        golden["losses"][f"{kind}, {name}"] = [float(f"{loss:.8g}") for loss in exact]
        golden["float32Errors"][f"{kind}, {name}"] = float(f"{worst:.2g}")
        print(f"{kind}, {name}: from {exact[0]:.3f} to {sum(exact[-10:]) / 10:.3f}, least {min(exact):.3g}, float32 off by {worst:.2g}")

pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden, separators=(",", ":")) + "\n")
