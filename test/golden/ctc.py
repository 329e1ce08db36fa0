# Writes ctc.json beside it: CTCLoss and its gradient by the logits, from PyTorch in float64, for logits that are float32
# numbers; and how far PyTorch's own float32 is from that. Run with Debian's python3-torch, then format the result:
# /usr/bin/python3 ctc.py; npx biome format --write ctc.json
import json
import pathlib

import torch
import torch.nn.functional as F

torch.manual_seed(8)

# time, classes, targets, input lengths, blank, scale of the logits, zero_infinity
CASES = [
    (1, 2, [[1]], [1], 0, 1, False),
    (5, 4, [[1, 2]], [5], 0, 1, False),
    (5, 4, [[1, 1]], [5], 0, 1, False),
    (5, 4, [[1, 1, 1]], [5], 0, 1, False),
    (6, 5, [[3, 3, 2], [1], []], [6, 4, 3], 0, 1, False),
    (7, 5, [[0, 1, 3], [4, 4, 0]], [7, 7], 2, 2, False),
    (7, 5, [[0, 1, 3], [3, 3, 0, 1]], [7, 6], 4, 2, False),
    (12, 8, [[1, 2, 3, 4, 5], [7, 7, 6, 6], [2], [5, 1, 5]], [12, 10, 9, 12], 0, 1, False),
    (4, 3, [[1, 2, 1, 2], [1, 2, 2], [1, 1, 2, 2]], [4, 4, 4], 0, 1, False),
    (4, 3, [[1, 2, 1, 2], [1, 2, 2], [1, 1, 2, 2]], [4, 4, 4], 0, 1, True),
    (6, 3, [[1, 1, 1, 1], [2]], [6, 5], 0, 1, True),
    (6, 3, [[], []], [6, 2], 0, 3, False),
    (10, 6, [[1, 2, 3, 2, 1], [5, 5]], [10, 8], 0, 20, False),
    (10, 6, [[1, 2, 3, 2, 1], [5, 5]], [10, 8], 0, 200, False),
    (40, 12, [[i % 11 + 1 for i in range(20)], [3, 3, 3, 4, 4, 11, 1]], [40, 35], 0, 1, False),
    (120, 6, [[(7 * i) % 5 for i in range(60)], [4, 4, 3, 0]], [120, 101], 5, 1, False),
]


def losses(logits, case, dtype, reduction):
    time, _, targets, lengths, blank, _, zero = case
    x = logits.detach().to(dtype).clone().requires_grad_()
    flat = torch.tensor([label for row in targets for label in row], dtype=torch.long)
    counts = torch.tensor([len(row) for row in targets])
    log_probabilities = F.log_softmax(x, -1).transpose(0, 1)
    y = F.ctc_loss(log_probabilities, flat, torch.tensor(lengths), counts, blank, reduction, zero)
    upstream = torch.linspace(0.5, 1.5, y.numel(), dtype=dtype).reshape(y.shape)
    y.backward(upstream)
    return y.detach(), x.grad, upstream


def worst(a, b):
    kept = torch.isfinite(b)
    return (a[kept].double() - b[kept]).abs().max().item() if kept.any() else 0.0


def values(tensor):
    return [float(f"{x:.10g}") if abs(x) < float("inf") else str(x) for x in tensor.flatten().tolist()]


results = []
for case in CASES:
    time, classes, targets, lengths, blank, scale, zero = case
    # Eighths are written down in few digits.
    logits = torch.round(torch.randn(len(targets), time, classes) * scale * 8) / 8
    for reduction in ["none", "mean", "sum"] if time < 40 else ["mean"]:
        y, dx, upstream = losses(logits, case, torch.float64, reduction)
        y32, dx32, _ = losses(logits, case, torch.float32, reduction)
        results.append(
            {
                "shape": list(logits.shape),
                "logits": values(logits),
                "targets": targets,
                "inputLengths": lengths,
                "blank": blank,
                "zeroInfinity": zero,
                "reduction": reduction,
                "upstream": values(upstream),
                "losses": values(y),
                "gradient": values(dx),
                "float32Errors": [worst(y32, y), worst(dx32, dx)],
            }
        )
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(results))
