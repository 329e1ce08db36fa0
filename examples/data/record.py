# Writes the CSV files of this folder from what scikit-learn ships: python3 examples/data/record.py
import csv
import gzip
from pathlib import Path

from sklearn import datasets

folder = Path(__file__).parent


def write(name, header, rows):
    with open(folder / name, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def lines(name):
    """A file of the package as it stands, so that its numbers keep their digits."""
    path = Path(datasets.__file__).parent / "data" / name
    opened = gzip.open(path, "rt") if name.endswith(".gz") else open(path)
    with opened as file:
        return [line.split("," if ".csv.gz" not in name else None) for line in file.read().splitlines()]


for name, target in [("breast_cancer", "diagnosis"), ("wine", "cultivar")]:
    data = getattr(datasets, f"load_{name}")()
    rows = lines("breast_cancer.csv" if name == "breast_cancer" else "wine_data.csv")[1:]
    names = [str(feature).replace("/", " per ").replace("_", " ") for feature in data.feature_names]
    labels = [str(label) for label in data.target_names]
    first, *rest = name.split("_")
    file = first + "".join(word.capitalize() for word in rest) + ".csv"
    write(file, [*names, target], [[*row[:-1], labels[int(row[-1])]] for row in rows])

number = lambda text: f"{float(text):.10g}"
features, targets = lines("diabetes_data_raw.csv.gz"), lines("diabetes_target.csv.gz")
names = ["age", "sex", "body mass index", "blood pressure", "s1", "s2", "s3", "s4", "s5", "s6", "progression"]
write("diabetes.csv", names, [[*map(number, row), number(target)] for row, (target,) in zip(features, targets)])
