"""Records test/golden/kerasOwn.json: files that Keras 3 itself writes, and what it predicts. Run: python3 test/keras/recordOwn.py, where
there are keras, numpy and h5py. Keras's backend of NumPy asks for JAX and SciPy too, for operations that these models do not have: empty
modules stand in for them."""

import base64
import importlib.abc
import importlib.machinery
import json
import os
import pathlib
import sys
import tempfile
import zlib
from unittest.mock import MagicMock


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ("jax", "jaxlib", "scipy"):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        module = MagicMock()
        module.__path__, module.__spec__, module.__name__ = [], spec, spec.name
        return module

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Absent())
os.environ["KERAS_BACKEND"] = "numpy"
import keras  # noqa: E402
import numpy as np  # noqa: E402
from keras import layers as L  # noqa: E402

GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"

rows = keras.Sequential([
    L.Input((6,)), L.Dense(5, activation="relu"), L.BatchNormalization(), L.Dropout(0.5), L.Dense(4, activation="tanh"),
    L.LayerNormalization(), L.Dense(3, activation="softmax")])
x = keras.Input((6, 3))
states = L.LSTM(4, return_sequences=True)(x)
ends = L.Bidirectional(L.GRU(3))(states)
means = L.Dense(4)(L.GlobalAveragePooling1D()(states))
branches = keras.Model(x, L.Dense(2)(L.Concatenate()([ends, means])))


def recorded(model, shape):
    random = np.random.RandomState(1)

    def values(variable, before):
        drawn = random.randn(*before.shape).astype("float32") * 0.5
        return np.abs(drawn) if "var" in variable.name else drawn

    model.set_weights([values(v, w) for v, w in zip(model.weights, model.get_weights())])
    x = random.randn(*shape).astype("float32")
    y = np.asarray(model(x, training=False))
    found = {"inputs": [{"name": "x", "data": x.ravel().tolist()}], "outputs": [{"data": y.ravel().tolist()}]}
    with tempfile.TemporaryDirectory() as folder:
        for kind in ("keras", "h5"):
            path = pathlib.Path(folder) / f"model.{kind}"
            model.save(path)
            found[kind] = base64.b64encode(zlib.compress(path.read_bytes(), 9)).decode()
    return found


models = {"rows": recorded(rows, (2, 6)), "branches": recorded(branches, (2, 6, 3))}
text = json.dumps({"version": keras.__version__, "models": models}, indent=1)
(GOLDEN / "kerasOwn.json").write_text(text + "\n")
