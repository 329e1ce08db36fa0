"""Writes iris.json: Fisher's iris (1936), as Debian's python3-sklearn has it.

Run with `/usr/bin/python3 test/golden/iris.py`.
"""

import json
import pathlib

from sklearn.datasets import load_iris

iris = load_iris()
data = {"x": iris.data.flatten().tolist(), "y": iris.target.tolist()}
pathlib.Path(__file__).with_suffix(".json").write_text(json.dumps(data, separators=(",", ":")) + "\n")
