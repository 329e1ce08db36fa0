# Records what scikit-learn's scalers give: python3 test/golden/scalers.py > test/golden/scalers.json
import json
import sys

import numpy as np
import sklearn
from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

rng = np.random.default_rng(3)
tables = {
    "normal": rng.normal(5, 2, (40, 3)),
    "ties": rng.integers(0, 4, (25, 2)).astype(float),
    "constant": np.column_stack([np.full(9, 7.0), rng.normal(0, 1, 9)]),
    "constant of thirds": np.full((7, 1), 1 / 3),
    "far from zero": rng.normal(1e6, 1e-2, (30, 1)),
    "outliers": np.concatenate([rng.normal(0, 1, (30, 2)), np.full((1, 2), 1e5)]),
    "one row": np.array([[3.0, -2.0]]),
    "two rows": np.array([[3.0, -2.0], [4.0, 8.0]]),
}
cases = []
for name, table in tables.items():
    other = rng.normal(0, 10, (4, table.shape[1]))
    for scaler in (StandardScaler(), MinMaxScaler(), RobustScaler()):
        scaler.fit(table)
        cases.append(
            {
                "table": name,
                "scaler": type(scaler).__name__,
                "training": table.tolist(),
                "other": other.tolist(),
                "transformed": scaler.transform(table).ravel().tolist(),
                "transformedOther": scaler.transform(other).ravel().tolist(),
                "inverse": scaler.inverse_transform(other).ravel().tolist(),
            }
        )
json.dump({"sklearn": sklearn.__version__, "cases": cases}, sys.stdout)
