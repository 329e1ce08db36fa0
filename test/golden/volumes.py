"""Records test/golden/volumes.json: convolutions and pooling of volumes, pooling by norms and with places, and how near
vectors are, from PyTorch in float64 as test/golden/graphOps.py does. Images and volumes are channels-last in the file.

Run with `/usr/bin/python3 test/golden/volumes.py` (PyTorch 1.13).
"""

import pathlib

import torch
import torch.nn.functional as F
from graphOps import distinct, normal, positive, write


def first(x):
    return x.movedim(-1, 1)


def last(x):
    return x.movedim(1, -1)


def conv(**options):
    """Weights are [...window, channels / groups, outChannels] in the file."""
    return lambda x, w, b=None: last(F.conv3d(first(x), w.permute(4, 3, 0, 1, 2), b, **options))


def transposed(**options):
    return lambda x, w, b=None: last(F.conv_transpose3d(first(x), w.permute(4, 3, 0, 1, 2), b, **options))


def image_transposed(**options):
    return lambda x, w: last(F.conv_transpose2d(first(x), w.permute(3, 2, 0, 1), **options))


def pool(f, *arguments, **options):
    return lambda x: last(f(first(x), *arguments, **options))


def unpooled(window, stride, size):
    def f(x):
        values, indices = F.max_pool2d(first(x), window, stride, return_indices=True)
        return last(F.max_unpool2d(values, indices, window, stride, output_size=size))

    return f


CASES = [
    ("conv3d", {}, [normal(2, 4, 5, 6, 3), normal(2, 3, 2, 3, 4)], conv()),
    ("conv3d", {}, [normal(1, 3, 4, 4, 2), normal(3, 3, 3, 2, 20), normal(20)], conv()),
    ("conv3d", {"options": {"padding": 1, "stride": 2}}, [normal(1, 5, 6, 5, 2), normal(3, 3, 3, 2, 5), normal(5)], conv(padding=1, stride=2)),
    ("conv3d", {"options": {"padding": [2, 0, 1], "stride": [1, 2, 3]}}, [normal(1, 4, 5, 7, 2), normal(3, 2, 3, 2, 3)], conv(padding=(2, 0, 1), stride=(1, 2, 3))),
    ("conv3d", {"options": {"dilation": [2, 1, 2]}}, [normal(2, 5, 4, 5, 3), normal(2, 2, 2, 3, 4)], conv(dilation=(2, 1, 2))),
    ("conv3d", {"options": {"groups": 2, "padding": 1}}, [normal(1, 3, 4, 3, 4), normal(3, 3, 3, 2, 6), normal(6)], conv(groups=2, padding=1)),
    ("conv3d", {"options": {"groups": 3}}, [normal(1, 3, 3, 3, 3), normal(2, 2, 2, 1, 3)], conv(groups=3)),
    ("conv3d", {"options": {"groups": 3}}, [normal(1, 3, 3, 3, 3), normal(2, 2, 2, 1, 6)], conv(groups=3)),
    ("conv3d", {"options": {"padding": "same"}}, [normal(1, 4, 5, 3, 2), normal(3, 3, 3, 2, 3)], conv(padding="same")),
    ("convTranspose3d", {}, [normal(2, 2, 3, 2, 3), normal(2, 3, 2, 4, 3)], transposed()),
    ("convTranspose3d", {"options": {"stride": 2}}, [normal(1, 2, 3, 3, 2), normal(2, 2, 2, 3, 2), normal(3)], transposed(stride=2)),
    ("convTranspose3d", {"options": {"stride": [3, 2, 1], "padding": [1, 0, 1], "outputPadding": [1, 1, 0]}}, [normal(1, 3, 2, 3, 2), normal(3, 2, 3, 3, 2)], transposed(stride=(3, 2, 1), padding=(1, 0, 1), output_padding=(1, 1, 0))),
    ("convTranspose3d", {"options": {"stride": 2, "outputSize": [6, 7, 6]}}, [normal(1, 3, 3, 3, 2), normal(2, 2, 2, 2, 2)], transposed(stride=2, output_padding=(0, 1, 0))),
    ("convTranspose3d", {"options": {"dilation": [1, 2, 3]}}, [normal(1, 2, 2, 2, 2), normal(2, 2, 2, 3, 2)], transposed(dilation=(1, 2, 3))),
    ("convTranspose3d", {"options": {"groups": 2, "stride": [1, 2, 1]}}, [normal(1, 2, 2, 3, 4), normal(2, 2, 2, 3, 4), normal(6)], transposed(groups=2, stride=(1, 2, 1))),
    ("convTranspose2d", {"options": {"stride": 3, "padding": 1, "outputSize": [10, 12]}}, [normal(1, 4, 4, 3), normal(3, 3, 2, 3)], image_transposed(stride=3, padding=1, output_padding=(0, 2))),
    *[
        (name, {"window": window, "options": options}, [make(*shape)], f)
        for name, window, options, shape, make, f in [
            ("maxPool3d", 2, {}, (2, 4, 5, 4, 3), distinct, pool(F.max_pool3d, 2)),
            ("maxPool3d", [2, 3, 2], {"stride": [1, 2, 2], "padding": [1, 1, 0]}, (1, 4, 5, 6, 2), distinct, pool(F.max_pool3d, (2, 3, 2), (1, 2, 2), (1, 1, 0))),
            ("maxPool3d", 2, {"dilation": [1, 2, 3], "stride": 1}, (1, 3, 4, 5, 2), distinct, pool(F.max_pool3d, 2, 1, 0, (1, 2, 3))),
            ("maxPool3d", 3, {"stride": 2, "ceilMode": True}, (1, 4, 6, 5, 2), distinct, pool(F.max_pool3d, 3, 2, ceil_mode=True)),
            ("averagePool3d", 2, {}, (2, 4, 5, 4, 3), normal, pool(F.avg_pool3d, 2)),
            ("averagePool3d", [2, 3, 2], {"stride": [1, 2, 2], "padding": [1, 1, 0]}, (1, 4, 5, 6, 2), normal, pool(F.avg_pool3d, (2, 3, 2), (1, 2, 2), (1, 1, 0))),
            ("averagePool3d", 3, {"stride": 2, "padding": 1, "countIncludePad": False}, (1, 4, 6, 5, 2), normal, pool(F.avg_pool3d, 3, 2, 1, count_include_pad=False)),
            ("averagePool3d", 3, {"stride": 2, "padding": 1, "ceilMode": True}, (1, 4, 6, 5, 2), normal, pool(F.avg_pool3d, 3, 2, 1, ceil_mode=True)),
            ("averagePool3d", 2, {"divisor": 3}, (1, 4, 4, 4, 2), normal, pool(F.avg_pool3d, 2, divisor_override=3)),
            ("averagePool2d", [3, 2], {"stride": 2, "padding": [1, 0], "divisor": 5}, (2, 5, 6, 3), normal, pool(F.avg_pool2d, (3, 2), 2, (1, 0), divisor_override=5)),
            ("averagePool2d", 3, {"stride": 2, "ceilMode": True, "divisor": 2}, (1, 6, 6, 3), normal, pool(F.avg_pool2d, 3, 2, ceil_mode=True, divisor_override=2)),
            ("maxPoolWithIndices", 2, {}, (2, 4, 6, 3), distinct, pool(F.max_pool2d, 2)),
            ("maxPoolWithIndices", 3, {"stride": 2, "padding": 1}, (1, 7, 5, 4), distinct, pool(F.max_pool2d, 3, 2, 1)),
        ]
    ],
    ("averagePool2d", {"window": 3, "options": {"stride": 2, "padding": [[1, 0], [0, 1]]}}, [normal(1, 6, 6, 3)], lambda x: last(F.avg_pool2d(F.pad(first(x), (0, 1, 1, 0)), 3, 2))),
    ("unpooled", {"window": 2, "size": [4, 6]}, [distinct(2, 4, 6, 3)], unpooled(2, 2, (4, 6))),
    ("unpooled", {"window": [2, 3], "size": [5, 7]}, [distinct(1, 5, 7, 2)], unpooled((2, 3), (2, 3), (5, 7))),
    *[
        ("lpPool2d", {"p": p, "window": 2, "options": {"stride": stride}}, [positive(2, 5, 6, 3)], pool(F.lp_pool2d, p, 2, stride))
        for p in [1, 2, 3, 4.5]
        for stride in [1, 2]
    ],
    ("lpPool2d", {"p": 2, "window": [3, 2]}, [normal(1, 6, 6, 4)], pool(F.lp_pool2d, 2.0, (3, 2))),
    ("lpPool1d", {"p": 2, "window": 3}, [normal(2, 9, 4)], pool(F.lp_pool1d, 2.0, 3)),
    ("lpPool1d", {"p": 3, "window": 3, "options": {"stride": 2}}, [positive(2, 9, 4)], pool(F.lp_pool1d, 3.0, 3, 2)),
    *[
        ("localResponseNorm", {"size": size, "options": {"alpha": alpha, "beta": beta, "k": k}}, [normal(2, 3, 4, 7)], pool(F.local_response_norm, size, alpha, beta, k))
        for size, alpha, beta, k in [(1, 1e-4, 0.75, 1.0), (2, 1.0, 0.75, 1.0), (5, 2.0, 0.75, 2.0), (4, 0.5, 0.5, 1.0), (3, 1.0, 1.5, 0.5)]
    ],
    *[
        ("cosineSimilarity", {"options": {"axis": axis, "epsilon": epsilon}}, [normal(*a), normal(*b)], lambda a, b, axis=axis, epsilon=epsilon: F.cosine_similarity(a, b, axis, epsilon))
        for a, b, axis, epsilon in [((4, 9), (4, 9), 1, 1e-8), ((4, 9), (4, 9), 0, 1e-8), ((2, 3, 5), (2, 3, 5), 1, 1e-6), ((3, 1, 5), (1, 4, 5), -1, 1e-8)]
    ],
    *[
        ("pairwiseDistance", {"options": {"p": p, "epsilon": epsilon, "keepDims": keep}}, [normal(5, 7), normal(5, 7)], lambda a, b, p=p, epsilon=epsilon, keep=keep: F.pairwise_distance(a, b, p, epsilon, keep))
        for p, epsilon, keep in [(2, 1e-6, False), (1, 1e-6, False), (3, 0.1, True), (2, 0, True)]
    ],
]

if __name__ == "__main__":
    write(pathlib.Path(__file__), CASES)
