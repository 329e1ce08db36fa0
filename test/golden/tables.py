# Records what scikit-learn makes of columns with missing values and unknown categories, and the hashes of its FeatureHasher:
# python3 test/golden/tables.py > test/golden/tables.json
import json
import sys

import numpy as np
import sklearn
from sklearn.feature_extraction import FeatureHasher
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder, MinMaxScaler, OneHotEncoder, RobustScaler, StandardScaler
from sklearn.utils import murmurhash3_32

rng = np.random.default_rng(15)
training, other = 40, 12


def numbers(count):
    values = np.round(rng.normal(20, 7, count), 2)
    values[rng.random(count) < 0.25] = np.nan
    return values


def counts(count):
    values = rng.integers(0, 5, count).astype(float)
    values[rng.random(count) < 0.2] = np.nan
    return values


def texts(count, choices, missing):
    values = np.array(choices, dtype=object)[rng.integers(0, len(choices), count)]
    values[rng.random(count) < missing] = None
    return values


def nullable(values):
    return [None if value is None or value != value else value for value in values.tolist()]


numeric = []
for make in (numbers, counts):
    first, second = make(training), make(other)
    for strategy in ("mean", "median", "most_frequent", "constant"):
        for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler()):
            imputer = SimpleImputer(strategy=strategy, fill_value=-1.5 if strategy == "constant" else None)
            pipeline = make_pipeline(imputer, scaler).fit(first[:, None])
            both = np.concatenate([first, second])[:, None]
            numeric.append(
                {
                    "strategy": strategy,
                    "scaler": type(scaler).__name__,
                    "training": nullable(first),
                    "other": nullable(second),
                    "values": [round(value, 12) for value in pipeline.transform(both).ravel().tolist()],
                    "missing": MissingIndicator(features="all").fit(first[:, None]).transform(both).ravel().astype(int).tolist(),
                }
            )

categories = []
for missing in (0, 0.2):
    first = texts(training, ["Rome", "Oslo", "Paris", "Århus", "oslo"], missing)
    second = texts(other, ["Rome", "Oslo", "Bern"], missing)
    fill = lambda values: np.array([("\uffff" if value is None else value) for value in values], dtype=object)[:, None]
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False).fit(fill(first))
    frequent = make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=None), encoder.__class__(handle_unknown="ignore", sparse_output=False))
    frequent.fit(first[:, None])
    both = np.concatenate([first, second])
    categories.append(
        {
            "training": first.tolist(),
            "other": second.tolist(),
            "own": encoder.transform(fill(both)).astype(int).ravel().tolist(),
            "frequent": frequent.transform(both[:, None]).astype(int).ravel().tolist(),
        }
    )

SIZES = ["small", "medium", "large"]
ordinal = []
for scaler in (StandardScaler(), MinMaxScaler()):
    first, second = texts(training, SIZES, 0.2), texts(other, SIZES, 0.2)
    steps = make_pipeline(SimpleImputer(strategy="most_frequent", missing_values=None), OrdinalEncoder(categories=[SIZES]), scaler)
    steps.fit(first[:, None])
    values = steps.transform(np.concatenate([first, second])[:, None]).ravel().tolist()
    ordinal.append(
        {"scaler": type(scaler).__name__, "training": first.tolist(), "other": second.tolist(), "values": [round(value, 12) for value in values]}
    )

words = ["", "a", "ab", "abc", "abcd", "zip 10115", "Århus", "日本", "x" * 37, "0", "12345"]
hasher = FeatureHasher(n_features=16, input_type="string")
hashed = [
    {"text": word, "hash": [murmurhash3_32(word, seed=seed) for seed in (0, 7, 123456789)], "values": hasher.transform([[word]]).toarray()[0].astype(int).tolist()}
    for word in words
]
json.dump({"sklearn": sklearn.__version__, "numeric": numeric, "categories": categories, "ordinal": ordinal, "hashed": hashed}, sys.stdout, ensure_ascii=False)
