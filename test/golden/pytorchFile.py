# Files of NumPy and PyTorch, for test/io/numpy.test.ts and test/io/pytorchFile.test.ts: python3 test/golden/pytorchFile.py
import base64, io, json, os
import numpy as np
import torch

def text(b):
    return base64.b64encode(b).decode()

def npy(a):
    f = io.BytesIO(); np.save(f, a); return text(f.getvalue())

def pt(v):
    f = io.BytesIO(); torch.save(v, f); return text(f.getvalue())

files = {"npy": {}, "npz": {}, "pt": {}}
base = np.array([[0, 1, 2], [3, 4, 5]])
for kind in ["<f4", "<f8", ">f4", "<f2", "<i8", ">i2", "|u1", "|i1", "<u4", "|b1"]:
    files["npy"][kind] = npy(base.astype(kind))
files["npy"]["fortran"] = npy(np.asfortranarray(base.astype("<f4")))
files["npy"]["scalar"] = npy(np.array(2.5, dtype="<f4"))
files["npy"]["objects"] = npy(np.array([{}], dtype=object))
for name, save in [("stored", np.savez), ("deflated", np.savez_compressed)]:
    f = io.BytesIO(); save(f, x=base.astype("<f4"), y=np.zeros(300, dtype="<i4")); files["npz"][name] = text(f.getvalue())
whole = torch.arange(6, dtype=torch.float32).reshape(2, 3)
files["pt"]["state"] = pt({"a.weight": whole, "turned": whole.t(), "row": whole[1], "half": whole.half(), "brain": whole.bfloat16(), "long": whole.long(), "truth": whole > 2, "double": whole.double(), "epoch": 3, "name": "spring"})
files["pt"]["module"] = pt(torch.nn.Sequential(torch.nn.Linear(3, 2)).state_dict())
files["pt"]["nested"] = pt({"model": {"w": torch.nn.Parameter(whole)}, "optimizer": {"lr": 0.5, "steps": [1, 2]}})
files["pt"]["code"] = pt(torch.nn.Linear(1, 1))
with open(os.path.join(os.path.dirname(__file__), "pytorchFile.json"), "w") as f:
    json.dump(files, f, separators=(",", ":")); f.write("\n")
