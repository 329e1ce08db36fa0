# What onnx.checker says of each file that tests write, its inference of shapes included: /usr/bin/python3 test/onnx/checker/record.py
# onnx 1.12, Debian's python3-onnx. The files are those of the tests that verdicts.ts is for: they write them to a folder.
import base64
import json
import os
import subprocess
import tempfile

import onnx

here = os.path.dirname(os.path.abspath(__file__))
root = os.path.join(here, "..", "..", "..")


def verdict(file):
    try:
        onnx.checker.check_model(onnx.load_from_string(file), full_check=True)
    except Exception as error:
        return f"{type(error).__name__}: {error}"[:300]
    return "valid"


recorded = {}
with tempfile.TemporaryDirectory() as folder:
    subprocess.run(
        ["npx", "vitest", "run", "--reporter=dot", *(f"test/onnx/{name}.test.ts" for name in ("layers", "examples", "folding"))],
        cwd=root, check=True, env={**os.environ, "STEEPEST_ONNX_FILES": folder},
    )
    for path in os.scandir(folder):
        with open(path) as file:
            made = json.load(file)
        recorded[made["name"]] = {"digest": made["digest"], "verdict": verdict(base64.b64decode(made["onnx"]))}
recorded = dict(sorted(recorded.items()))
with open(os.path.join(here, "recorded.json"), "w") as out:
    out.write("{\n" + ",\n".join(f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in recorded.items()) + "\n}\n")
subprocess.run(["npx", "biome", "format", "--write", os.path.join(here, "recorded.json")], cwd=root, check=True)
bad = {name: one["verdict"] for name, one in recorded.items() if one["verdict"] != "valid"}
print(f"{len(recorded)} files, {len(bad)} refused")
for name, what in bad.items():
    print(f"{name}: {what}")
