"""Records test/golden/arrange.json: what moves elements or chooses them by indices, matrix products with vectors and
einsum, from PyTorch in float64 as test/golden/graphOps.py does; backwards slices and mirrors by indices, which NumPy made.

Run with `/usr/bin/python3 test/golden/arrange.py` (PyTorch 1.13).
"""

import pathlib

import numpy as np
import torch
import torch.nn.functional as F
from graphOps import labels, normal, write


def unique(classes, *shape):
    """Rows of the last axis are different numbers below `classes`: PyTorch leaves open which of several updates wins."""
    rows = [torch.randperm(classes)[: shape[-1]] for _ in range(int(np.prod(shape[:-1])))]
    return torch.stack(rows).reshape(shape)


def places(shape, count, different=True):
    """Indices [count, n] of elements of `shape`."""
    flat = np.random.default_rng(7).choice(int(np.prod(shape)), count, replace=not different)
    return torch.from_numpy(np.stack(np.unravel_index(flat, shape), -1))


def numpy_slice(x, *slices):
    """x[slices] by NumPy, as PyTorch takes no negative steps: through the places that NumPy says."""
    numbers = np.arange(x.numel()).reshape(x.shape)[slices].copy()
    return x.flatten()[torch.from_numpy(numbers)]


def numpy_pad(x, padding, mode):
    numbers = np.pad(np.arange(x.numel()).reshape(x.shape), padding, mode=mode)
    return x.flatten()[torch.from_numpy(numbers)]


torch.manual_seed(11)
ROWS = [unique(5, 4).flatten(), unique(6, 3).flatten()]
ALONG = [unique(6, 4, 5), unique(7, 3, 4).transpose(0, 1).contiguous()]

CASES = [
    ("slice", {"bounds": [[], [], [-1, 1]]}, [normal(4, 5)], lambda x: numpy_slice(x, slice(None, None, -1))),
    ("slice", {"bounds": [[-1, 4], [0, -9], [-2, -3]]}, [normal(6, 7)], lambda x: numpy_slice(x, slice(-1, 0, -2), slice(4, -9, -3))),
    ("slice", {"bounds": [[99, -2], [1, 0], [-3, -1]]}, [normal(9, 4, 2)], lambda x: numpy_slice(x, slice(99, 1, -3), slice(-2, 0, -1))),
    ("pad", {"padding": [[2, 3], [1, 0]], "options": {"mode": "symmetric"}}, [normal(3, 4)], lambda x: numpy_pad(x, [[2, 3], [1, 0]], "symmetric")),
    ("pad", {"padding": [[0, 0], [0, 4], [2, 2]], "options": {"mode": "symmetric"}}, [normal(2, 4, 3)], lambda x: numpy_pad(x, [[0, 0], [0, 4], [2, 2]], "symmetric")),
    ("pad", {"padding": [[0, 0], [0, 0], [3, 2]], "options": {"mode": "circular"}}, [normal(2, 3, 5)], lambda x: F.pad(x, (3, 2), mode="circular")),
    ("pad", {"padding": [[0, 0], [0, 0], [1, 3], [2, 0]], "options": {"mode": "circular"}}, [normal(2, 1, 3, 4)], lambda x: F.pad(x, (2, 0, 1, 3), mode="circular")),
    ("roll", {"shift": 2, "axis": 1}, [normal(3, 7)], lambda x: x.roll(2, 1)),
    ("roll", {"shift": -9, "axis": 0}, [normal(4, 3)], lambda x: x.roll(-9, 0)),
    ("roll", {"shift": [1, -2], "axis": [0, 2]}, [normal(3, 2, 5)], lambda x: x.roll((1, -2), (0, 2))),
    ("roll", {"shift": 5}, [normal(3, 4)], lambda x: x.roll(5)),
    ("diagonal", {}, [normal(4, 6)], lambda x: x.diagonal()),
    ("diagonal", {"options": {"offset": -2}}, [normal(5, 4)], lambda x: x.diagonal(-2)),
    ("diagonal", {"options": {"offset": 1, "axes": [0, 2]}}, [normal(3, 2, 5)], lambda x: x.diagonal(1, 0, 2)),
    ("diagonal", {"options": {"offset": 1, "axes": [-1, 0]}}, [normal(4, 2, 3)], lambda x: x.diagonal(1, -1, 0)),
    ("diagonalMatrix", {}, [normal(5)], torch.diag_embed),
    ("diagonalMatrix", {"options": {"offset": -1}}, [normal(2, 3)], lambda x: torch.diag_embed(x, -1)),
    ("diagonalMatrix", {"options": {"offset": 2}}, [normal(2, 3)], lambda x: torch.diag_embed(x, 2)),
    ("scatterUpdate", {"axis": 0}, [normal(5, 3), ROWS[0], normal(4, 3)], lambda x, i, u: x.index_copy(0, i, u)),
    ("scatterUpdate", {"axis": 1}, [normal(2, 6, 3), ROWS[1], normal(2, 3, 3)], lambda x, i, u: x.index_copy(1, i, u)),
    ("scatterAddAlong", {"axis": 1}, [normal(4, 6), labels(6, 4, 9), normal(4, 9)], lambda x, i, u: x.scatter_add(1, i, u)),
    ("scatterAddAlong", {"axis": 0}, [normal(5, 3), labels(5, 8, 3), normal(8, 3)], lambda x, i, u: x.scatter_add(0, i, u)),
    ("scatterUpdateAlong", {"axis": 1}, [normal(4, 6), ALONG[0], normal(4, 5)], lambda x, i, u: x.scatter(1, i, u)),
    ("scatterUpdateAlong", {"axis": 0}, [normal(7, 3), ALONG[1], normal(4, 3)], lambda x, i, u: x.scatter(0, i, u)),
    ("segmentSum", {"count": 4}, [normal(9, 3), labels(4, 9)], lambda x, i: torch.zeros(4, 3, dtype=x.dtype).index_add(0, i, x)),
    ("segmentSum", {"count": 6}, [normal(3, 4, 2), labels(6, 3, 4)], lambda x, i: torch.zeros(6, 2, dtype=x.dtype).index_add(0, i.flatten(), x.reshape(12, 2))),
    ("gatherNd", {}, [normal(3, 4, 5), places((3, 4), 9, False)], lambda x, i: x[i[:, 0], i[:, 1]]),
    ("gatherNd", {}, [normal(3, 4, 5), places((3, 4, 5), 11, False)], lambda x, i: x[i[:, 0], i[:, 1], i[:, 2]]),
    ("gatherNd", {}, [normal(6, 2), labels(6, 2, 3, 1)], lambda x, i: x[i[..., 0]]),
    ("scatterNd", {"shape": [3, 4, 2]}, [places((3, 4), 9, False), normal(9, 2)], lambda i, u: torch.zeros(3, 4, 2, dtype=u.dtype).index_put((i[:, 0], i[:, 1]), u, True)),
    ("scatterNd", {"shape": [7]}, [labels(7, 12, 1), normal(12)], lambda i, u: torch.zeros(7, dtype=u.dtype).index_put((i[:, 0],), u, True)),
    ("scatterAddNd", {}, [normal(3, 4, 2), places((3, 4), 9, False), normal(9, 2)], lambda x, i, u: x.index_put((i[:, 0], i[:, 1]), u, True)),
    ("scatterUpdateNd", {}, [normal(3, 4, 2), places((3, 4), 7), normal(7, 2)], lambda x, i, u: x.index_put((i[:, 0], i[:, 1]), u)),
    ("scatterUpdateNd", {}, [normal(3, 5), places((3, 5), 6), normal(6)], lambda x, i, u: x.index_put((i[:, 0], i[:, 1]), u)),
    *[
        (name, {"factor": factor}, [normal(*shape)], lambda x, f=f, factor=factor: f(x.movedim(-1, 1), factor).movedim(1, -1))
        for name, f, factor, shape in [
            ("pixelShuffle", F.pixel_shuffle, 2, (2, 3, 2, 12)),
            ("pixelShuffle", F.pixel_shuffle, 3, (1, 2, 3, 9)),
            ("pixelUnshuffle", F.pixel_unshuffle, 2, (2, 4, 6, 3)),
            ("pixelUnshuffle", F.pixel_unshuffle, 3, (1, 3, 6, 2)),
        ]
    ],
    *[
        ("matmul", {"options": options}, [normal(*a), normal(*b)], f)
        for a, b, options, f in [
            ((7,), (7,), {}, torch.matmul),
            ((5,), (5, 3), {}, torch.matmul),
            ((4, 6), (6,), {}, torch.matmul),
            ((4,), (2, 4, 3), {}, torch.matmul),
            ((2, 3, 5, 4), (4,), {}, torch.matmul),
            ((4,), (5, 4), {"transposeB": True}, lambda a, b: a @ b.mT),
            ((2, 4, 5), (4,), {"transposeA": True}, lambda a, b: a.mT @ b),
        ]
    ],
    *[
        ("einsum", {"equation": equation}, [normal(*shape) for shape in shapes], lambda *x, equation=equation: torch.einsum(equation, *x))
        for equation, shapes in [
            ("ii", [(5, 5)]),
            ("ii->i", [(5, 5)]),
            ("bii->ib", [(3, 4, 4)]),
            ("iij,jk->ik", [(3, 3, 4), (4, 2)]),
            ("ij,jk,kl->il", [(3, 4), (4, 5), (5, 2)]),
            ("bi,uij,bj->bu", [(3, 5), (4, 5, 6), (3, 6)]),
            ("ab,bc,cd,de", [(2, 9), (9, 3), (3, 8), (8, 2)]),
            ("...ij->...ji", [(2, 3, 4, 5)]),
            ("...ij,...jk", [(2, 1, 3, 4), (5, 4, 2)]),
            ("b...c,cd->db...", [(2, 3, 2, 4), (4, 5)]),
            ("...ii->...i", [(2, 3, 3)]),
            ("...i,...i->", [(2, 3), (2, 3)]),
            ("i...,i...->...", [(4, 3), (4, 1)]),
            ("...,...", [(2, 3), (3,)]),
        ]
    ],
]

if __name__ == "__main__":
    write(pathlib.Path(__file__), CASES)
