# Records what scikit-learn's folds and encoders give: python3 test/golden/splits.py > test/golden/splits.json
import json
import sys
import warnings

import numpy as np
import sklearn
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from sklearn.preprocessing import LabelEncoder, OneHotEncoder
from sklearn.utils.class_weight import compute_sample_weight

warnings.simplefilter("ignore")
rng = np.random.default_rng(5)


def plain(folds):
    return [{"training": a.tolist(), "validation": b.tolist()} for a, b in folds]


labels = {
    "even": ["a", "b"] * 6,
    "rare": ["x"] * 9 + ["y"] * 3 + ["z"],
    "sorted": [0] * 5 + [1] * 7 + [2] * 6,
    "mixed": rng.integers(0, 3, 20).tolist(),
    "one class": [7] * 8,
    "unsorted": ["z", "a", "m", "a", "z", "z", "m", "a", "a", "z"],
    "negative": rng.choice([-1, 0, 2], 14).tolist(),
}
cases = []
for count, folds in [(10, 5), (11, 3), (7, 2), (5, 5), (23, 4)]:
    cases.append({"kind": "KFold", "count": count, "folds": folds, "result": plain(KFold(folds).split(np.zeros(count)))})
for name, y in labels.items():
    for folds in (2, 3, 5):
        if max(y.count(one) for one in y) < folds:
            continue
        x = np.zeros(len(y))
        cases.append({"kind": "StratifiedKFold", "name": name, "count": len(y), "labels": y, "folds": folds,
                      "result": plain(StratifiedKFold(folds).split(x, y))})
groups = {
    "sizes all different": [1] * 7 + [2] * 5 + [3] * 4 + [4] * 2 + [5],
    "smallest first": ["p"] + ["q"] * 3 + ["r"] * 4 + ["s"] * 6,
    "interleaved": [i % 4 if i < 14 else 9 for i in range(20)],
    "texts": ["p"] * 6 + ["q"] * 4 + ["r"] * 3 + ["s"],
}
for name, g in groups.items():
    for folds in (2, 3):
        sizes = sorted((g.count(one) for one in set(g)), reverse=True)
        folded = plain(GroupKFold(folds).split(np.zeros(len(g)), groups=g))
        cases.append({"kind": "GroupKFold", "name": name, "count": len(g), "labels": g, "folds": folds,
                      "distinct": len(set(sizes)) == len(sizes), "result": folded})
for count, options in [
    (12, {"folds": 3}), (13, {"folds": 5}), (20, {"folds": 4, "gap": 2}), (20, {"folds": 3, "size": 2}),
    (20, {"folds": 3, "maxTraining": 4}), (30, {"folds": 3, "maxTraining": 6, "size": 4, "gap": 3}), (6, {"folds": 2}),
]:
    names = {"folds": "n_splits", "size": "test_size", "gap": "gap", "maxTraining": "max_train_size"}
    split = TimeSeriesSplit(**{names[k]: v for k, v in options.items()})
    cases.append({"kind": "TimeSeriesSplit", "count": count, "options": options, "result": plain(split.split(np.zeros(count)))})
for name, y in labels.items():
    encoder = LabelEncoder().fit(y)
    cases.append({"kind": "LabelEncoder", "name": name, "labels": y, "classes": encoder.classes_.tolist(),
                  "result": encoder.transform(y).tolist()})
    cases.append({"kind": "class weight", "name": name, "labels": y,
                  "result": compute_sample_weight("balanced", y).tolist()})
tables = {
    "two columns": [["red", "s"], ["green", "m"], ["red", "l"], ["blue", "m"]],
    "numbers": [[3, 1], [1, 1], [2, 0], [3, 0]],
    "one column": [["x"], ["y"], ["x"]],
    "one label": [["x", 1], ["x", 2]],
}
for name, rows in tables.items():
    table = np.array(rows, dtype=object)
    for unknown in ("error", "ignore"):
        encoder = OneHotEncoder(handle_unknown=unknown, sparse=False).fit(table)
        other = table.copy()
        if unknown == "ignore":
            other[0, 0] = "nowhere" if isinstance(rows[0][0], str) else 99
        encoded = encoder.transform(other)
        cases.append({"kind": "OneHotEncoder", "name": f"{name}, {unknown}", "training": rows, "unknown": unknown,
                      "rows": other.tolist(), "categories": [one.tolist() for one in encoder.categories_],
                      "result": encoded.ravel().tolist(), "inverse": encoder.inverse_transform(encoded).tolist()})
json.dump({"sklearn": sklearn.__version__, "cases": cases}, sys.stdout)
