# Independent readers of damaged files: what they refuse, and a digest of what they read. record.ts starts it, and tells of files by
# lines of JSON: {"kind": …, "bytes": base64}. Each file is read in a process of its own, since a damaged one may crash or hang it.
import base64, hashlib, io, json, os, re, resource, signal, struct, sys, tempfile, warnings, zipfile
import h5py, numpy as np, safetensors, torch

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
SECONDS = 20
FLOATS = {"F16": lambda raw: np.frombuffer(raw, "<f2").astype("<f4").tobytes(),
          "BF16": lambda raw: (np.frombuffer(raw, "<u2").astype("<u4") << 16).tobytes()}

class Refused(Exception):
    "What the reader itself takes, and is no array."

def digest(tensors, notes={}):
    "Of names, dtypes, shapes and values; those of 16 bits as float32. As files.ts has it."
    made = hashlib.sha256()
    for name in sorted(tensors, key=lambda one: one.encode()):
        dtype, shape, raw = tensors[name]
        made.update(json.dumps([name, dtype, list(shape)], ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        made.update(FLOATS.get(dtype, bytes)(raw))
    for name in sorted(notes, key=lambda one: one.encode()):
        made.update(json.dumps([name, notes[name]], ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
    return made.hexdigest()[:10]

def of_array(array):
    if not isinstance(array, np.ndarray): raise Refused("no array: " + type(array).__name__)
    kind, size = array.dtype.kind, array.dtype.itemsize
    dtype = "BOOL" if kind == "b" else {"u": "U", "i": "I", "f": "F"}.get(kind, str(array.dtype)) + str(8 * size)
    little = array.astype(array.dtype.newbyteorder("<"))
    return dtype, array.shape, little.tobytes(order="C")

def read_safetensors(data):
    tensors = {name: (one["dtype"], one["shape"], bytes(one["data"])) for name, one in safetensors.deserialize(data)}
    with tempfile.NamedTemporaryFile() as file:
        file.write(data); file.flush()
        with safetensors.safe_open(file.name, framework="np") as opened: notes = opened.metadata() or {}
    return digest(tensors, notes)

def read_npy(data): return digest({"": of_array(np.load(io.BytesIO(data), allow_pickle=False))})

def read_npz(data):
    archive = np.load(io.BytesIO(data), allow_pickle=False)
    if not isinstance(archive, np.lib.npyio.NpzFile): raise Refused("no archive: " + type(archive).__name__)
    return digest({name: of_array(archive[name]) for name in archive.files})

TYPES = {torch.float32: "F32", torch.float64: "F64", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
         torch.int32: "I32", torch.int16: "I16", torch.int8: "I8", torch.uint8: "U8", torch.bool: "BOOL"}

def read_pt(data):
    tensors = {}
    def collect(value, path, depth=0):
        if isinstance(value, torch.Tensor):
            dense = value.detach().contiguous()
            # Without what NumPy has not: the bytes as they are.
            raw = bytes(dense.reshape(-1).view(torch.uint8).numpy()) if dense.numel() > 0 else b""
            tensors[path] = (TYPES.get(value.dtype, str(value.dtype)), value.shape, raw)
        elif isinstance(value, dict) and depth < 40:
            for key, one in value.items():
                if isinstance(key, (str, int, float)) and not isinstance(key, bool):
                    collect(one, str(key) if path == "" else path + "." + str(key), depth + 1)
    collect(torch.load(io.BytesIO(data), map_location="cpu", weights_only=True), "")
    return digest(tensors)

ROLES = {"kernel": "weight", "bias": "bias"}

def of_dataset(dataset):
    array = dataset[()]
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "fiu": raise Refused("no numbers: " + str(dataset.dtype))
    return of_array(array.astype("<f4"))

def texts(value): return [one.decode() if isinstance(one, bytes) else str(one) for one in np.atleast_1d(value)]

def read_h5(data):
    "Of a file of dense layers: the description, and the weights by the names in it."
    with h5py.File(io.BytesIO(data), "r") as file:
        json.loads(texts(file.attrs["model_config"])[0])
        tensors = {}
        for layer in texts(file["model_weights"].attrs["layer_names"]):
            group = file["model_weights"][layer]
            for name in texts(group.attrs["weight_names"]):
                tensors[layer + "." + ROLES.get(name, name)] = of_dataset(group[name])
        return digest(tensors)

def read_keras(data):
    "Of an archive with dense layers: their weights are numbered by layer."
    archive = zipfile.ZipFile(io.BytesIO(data))
    layers = json.loads(archive.read("config.json"))["config"]["layers"]
    json.loads(archive.read("metadata.json"))
    with h5py.File(io.BytesIO(archive.read("model.weights.h5")), "r") as file:
        tensors, dense = {}, [one["config"] for one in layers if one["class_name"] == "Dense"]
        for number, config in enumerate(dense):
            place = "layers/dense" + ("" if number == 0 else "_%d" % number) + "/vars/"
            for index, role in enumerate(["weight", "bias"] if config["use_bias"] else ["weight"]):
                tensors[config["name"] + "." + role] = of_dataset(file[place + str(index)])
        return digest(tensors)

READERS = {"safetensors": read_safetensors, "npy": read_npy, "npz": read_npz, "pt": read_pt, "h5": read_h5, "keras": read_keras}

def verdict(kind, data):
    try: return {"read": READERS[kind](data)}
    except BaseException as error:
        said = re.sub(r"\s+", " ", str(error))
        return {"refused": (type(error).__name__ + ": " + said)[:200]}

def apart(kind, data):
    "In a process of its own, which may end in any way."
    inner, outer = os.pipe()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL); signal.alarm(SECONDS)
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.write(outer, json.dumps(verdict(kind, data)).encode())
        os._exit(0)
    os.close(outer)
    with os.fdopen(inner, "rb") as pipe: said = pipe.read()
    _, status = os.waitpid(child, 0)
    return json.loads(said) if said else {"refused": "ended by signal %d" % os.WTERMSIG(status)}

print(json.dumps({"numpy": np.__version__, "torch": torch.__version__, "h5py": h5py.__version__,
                  "HDF5": h5py.version.hdf5_version, "safetensors": safetensors.__version__}), flush=True)
for line in sys.stdin:
    file = json.loads(line)
    print(json.dumps(apart(file["kind"], base64.b64decode(file["bytes"]))), flush=True)
