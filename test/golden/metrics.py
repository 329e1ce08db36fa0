# Metrics of scikit-learn (Debian's python3-sklearn) and SciPy: /usr/bin/python3 test/golden/metrics.py > test/golden/metrics.json
# Each case: the function of steepest/metrics, its arguments, its options, and what scikit-learn gives.
import json
import warnings

import numpy as np
from scipy import stats
from sklearn import calibration
from sklearn import metrics as m

warnings.filterwarnings("ignore")
rng = np.random.default_rng(14)
cases = []


def plain(value):
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(one) for one in value]
    if isinstance(value, (np.integer, np.bool_)):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return None if np.isnan(value) else float(value)
    return value


def case(function, predictions, targets, expected, weights=None, **options):
    if weights is not None:
        options["weights"] = weights
    cases.append([function, plain(predictions), plain(targets), plain(options), plain(expected)])


def weights_of(count, kind):
    if kind == "none":
        return None
    if kind == "whole":
        return rng.integers(0, 4, count)
    return np.round(rng.random(count) * 3, 2)


# Labels: (true, predicted), with classes that one side lacks, one class alone, texts, imbalance.
def labels_of():
    yield rng.integers(0, 3, 30), rng.integers(0, 3, 30)
    yield rng.integers(0, 2, 25), rng.integers(0, 2, 25)
    yield np.where(rng.random(30) < 0.9, 0, rng.integers(1, 4, 30)), rng.integers(0, 3, 30)
    yield rng.integers(1, 4, 20), np.full(20, 2)
    yield np.full(12, 5), rng.integers(4, 7, 12)
    yield np.array(["cat", "dog", "bird"])[rng.integers(0, 3, 24)], np.array(["cat", "dog", "fish"])[rng.integers(0, 3, 24)]
    yield np.full(6, 1), np.full(6, 1)
    yield np.arange(8) % 4, np.arange(8) % 4


for index, (true, predicted) in enumerate(labels_of()):
    for kind in ["none", "whole", "real"]:
        w = weights_of(len(true), kind)
        case("accuracy", predicted, true, m.accuracy_score(true, predicted, sample_weight=w), w)
        adjusted = index % 2 == 0
        if not (adjusted and len(set(true)) == 1):
            expected = m.balanced_accuracy_score(true, predicted, adjusted=adjusted, sample_weight=w)
            case("balancedAccuracy", predicted, true, expected, w, adjusted=adjusted)
        for distance in ["none", "linear", "quadratic"]:
            kappa = m.cohen_kappa_score(true, predicted, weights=None if distance == "none" else distance, sample_weight=w)
            case("cohenKappa", predicted, true, kappa, w, distance=distance)
        case("matthews", predicted, true, m.matthews_corrcoef(true, predicted, sample_weight=w), w)
        normalize = [None, "true", "pred", "all"][index % 4]
        names = {None: "none", "true": "actual", "pred": "predicted", "all": "all"}
        matrix = m.confusion_matrix(true, predicted, normalize=normalize, sample_weight=w)
        case("confusionMatrix", predicted, true, {"matrix": matrix}, w, normalize=names[normalize])
        for zero in [0, 1]:
            beta = [1, 0.5, 2][index % 3]
            given = {"sample_weight": w, "zero_division": zero, "beta": beta}
            p, r, f, s = m.precision_recall_fscore_support(true, predicted, **given)
            expected = {"precision": p, "recall": r, "fScore": f, "support": s}
            for average in ["macro", "micro", "weighted"]:
                p, r, f, _ = m.precision_recall_fscore_support(true, predicted, average=average, **given)
                expected[average] = {"precision": p, "recall": r, "fScore": f}
            case("precisionRecallFScoreSupport", predicted, true, expected, w, zeroDivision=zero, beta=beta)
        jaccard = {"scores": m.jaccard_score(true, predicted, average=None, sample_weight=w, zero_division=0)}
        for average in ["macro", "micro", "weighted"]:
            jaccard[average] = m.jaccard_score(true, predicted, average=average, sample_weight=w, zero_division=0)
        case("intersectionOverUnion", predicted, true, jaccard, w)
        # The recall of what is not of a label; scikit-learn has it by that name alone.
        labels = np.unique(np.concatenate([true, predicted]))
        matrices = m.multilabel_confusion_matrix(true, predicted, sample_weight=w)
        others = [m.recall_score(true != one, predicted != one, sample_weight=w, zero_division=0) for one in labels]
        of_label = [(true == one).sum() if w is None else w[true == one].sum() for one in labels]
        expected = {"scores": others, "macro": np.mean(others), "weighted": np.average(others, weights=of_label)}
        expected["micro"] = matrices[:, 0, 0].sum() / matrices[:, 0].sum() if matrices[:, 0].sum() > 0 else 0
        case("specificity", predicted, true, expected, w)
        digits = [2, 4, 3][index % 3]
        text = m.classification_report(true, predicted, digits=digits, sample_weight=w, zero_division=index % 2)
        case("classificationReport", predicted, true, {"text": text}, w, digits=digits, zeroDivision=index % 2)

# Some labels, labels that are not there, and names. (With 30 samples an F-score is 0.375: before 1.3 scikit-learn computed it of the
# rounded precision and recall, and printed 0.37; since then, of counts, as here.)
true, predicted = rng.integers(0, 4, 33), rng.integers(0, 4, 33)
for labels, names in [([0, 1], None), ([3, 2, 7], ["three", "two", "a name that is longer than others"]), ([0, 1, 2, 3], list("abcd"))]:
    text = m.classification_report(true, predicted, labels=labels, target_names=names, zero_division=0)
    case("classificationReport", predicted, true, {"text": text}, labels=labels, **({} if names is None else {"names": names}))
    case("confusionMatrix", predicted, true, {"matrix": m.confusion_matrix(true, predicted, labels=labels)}, labels=labels)
    case("cohenKappa", predicted, true, m.cohen_kappa_score(true, predicted, labels=labels), labels=labels)
    expected = m.precision_recall_fscore_support(true, predicted, labels=labels, average="weighted", zero_division=0)
    expected = {"weighted": dict(zip(["precision", "recall", "fScore"], expected[:3]))}
    case("precisionRecallFScoreSupport", predicted, true, expected, labels=labels)


# Scores of yes and no: ties, one score for all, separated, all of one kind.
def scores_of():
    yield np.round(rng.random(40), 2), rng.integers(0, 2, 40)
    yield np.round(rng.random(40), 1), (rng.random(40) < 0.2).astype(int)
    yield np.full(10, 0.5), rng.integers(0, 2, 10)
    true = rng.integers(0, 2, 20)
    yield np.round(true * 0.5 + rng.random(20) * 0.49, 3), true
    yield np.round(rng.normal(size=30), 1), rng.integers(0, 2, 30)


for scores, true in scores_of():
    for kind in ["none", "whole", "real"]:
        w = weights_of(len(true), kind)
        case("rocAuc", scores, true, m.roc_auc_score(true, scores, sample_weight=w), w)
        case("averagePrecision", scores, true, m.average_precision_score(true, scores, sample_weight=w), w)
        p, r, t = m.precision_recall_curve(true, scores, sample_weight=w)
        case("precisionRecallCurve", scores, true, {"precision": p, "recall": r, "thresholds": t}, w)
        case("prAuc", scores, true, m.auc(r, p), w)
        drop = kind != "real"
        f, r, t = m.roc_curve(true, scores, sample_weight=w, drop_intermediate=drop)
        # The first threshold is infinite since scikit-learn 1.3, and was one above the highest score.
        expected = {"falsePositiveRate": f, "truePositiveRate": r, "thresholds": ["inf", *t[1:]]}
        case("rocCurve", scores, true, expected, w, dropIntermediate=drop)
case("averagePrecision", [0.1, 0.4, 0.4], [0, 0, 0], m.average_precision_score([0, 0, 0], [0.1, 0.4, 0.4]))
case("averagePrecision", [0.1, 0.4, 0.4], [1, 1, 1], m.average_precision_score([1, 1, 1], [0.1, 0.4, 0.4]))

# Probabilities.
for scores, true in list(scores_of())[:4]:
    scores[:2] = [0, 1]
    for kind in ["none", "real"]:
        w = weights_of(len(true), kind)
        case("logLoss", scores, true, m.log_loss(true, scores, sample_weight=w, labels=[0, 1]), w)
        case("perplexity", scores, true, np.exp(m.log_loss(true, scores, sample_weight=w, labels=[0, 1])), w)
        case("brier", scores, true, m.brier_score_loss(true, scores, sample_weight=w), w)
    for bins in [3, 5, 10]:
        actual, expected = calibration.calibration_curve(true, scores, n_bins=bins)
        case("calibrationCurve", scores, true, {"actual": actual, "predicted": expected}, bins=bins)
        ids = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], scores)
        counts = np.bincount(ids)
        error = np.sum(counts[counts > 0] * np.abs(actual - expected)) / len(true)
        case("expectedCalibrationError", scores, true, error, bins=bins)

# Several classes.
for count, classes in [(40, 3), (60, 4)]:
    true = np.concatenate([np.arange(classes), rng.integers(0, classes, count - classes)])
    p = np.round(rng.random((count, classes)), 2) + 0.01
    p /= p.sum(axis=1, keepdims=True)
    tied = np.round(p, 1) + 1e-3
    for kind in ["none", "real"]:
        w = weights_of(count, kind)
        for average in ["macro", "weighted"]:
            auc = m.roc_auc_score(true, p, multi_class="ovr", average=average, sample_weight=w)
            case("rocAuc", p.ravel(), true, auc, w, average=average)
            one_hot = np.eye(classes)[true]
            precision = m.average_precision_score(one_hot, p, average=average, sample_weight=w)
            case("averagePrecision", p.ravel(), true, precision, w, average=average)
        case("logLoss", p.ravel(), true, m.log_loss(true, p, sample_weight=w), w)
        case("logLoss", tied.ravel(), true, m.log_loss(true, tied, sample_weight=w), w)
        for k in [1, 2]:
            case("topKAccuracy", tied.ravel(), true, m.top_k_accuracy_score(true, tied, k=k, sample_weight=w), w, k=k)
    for average in ["macro", "weighted"]:
        auc = m.roc_auc_score(true, p, multi_class="ovo", average=average)
        case("rocAuc", p.ravel(), true, auc, average=average, multiClass="oneVsOne")


# Values: a large mean, a constant column, perfect predictions, ties, zeros as targets.
def values_of():
    true = np.round(rng.normal(size=30), 2)
    yield true + np.round(rng.normal(size=30) * 0.3, 2), true
    yield 1e6 + np.round(rng.normal(size=30), 2), 1e6 + np.round(rng.normal(size=30), 2)
    yield rng.integers(0, 4, 25), rng.integers(0, 4, 25)
    yield true, true
    yield np.full(30, 1.5), true
    yield true, np.full(30, 1.5)
    yield np.full(5, 2.0), np.full(5, 2.0)


for index, (predicted, true) in enumerate(values_of()):
    # With real weights the weighted mean of a constant is rounded, and scikit-learn divides by a variance of 1e-32.
    for kind in ["none", "whole" if len(set(true)) == 1 else "real"]:
        w = weights_of(len(true), kind)
        case("meanAbsoluteError", predicted, true, m.mean_absolute_error(true, predicted, sample_weight=w), w)
        case("rootMeanSquaredError", predicted, true, m.mean_squared_error(true, predicted, sample_weight=w, squared=False), w)
        case("meanAbsolutePercentageError", predicted, true, m.mean_absolute_percentage_error(true, predicted, sample_weight=w), w)
        case("rSquared", predicted, true, m.r2_score(true, predicted, sample_weight=w), w)
        case("explainedVariance", predicted, true, m.explained_variance_score(true, predicted, sample_weight=w), w)
    case("pearson", predicted, true, stats.pearsonr(predicted, true)[0])
    case("spearman", predicted, true, stats.spearmanr(predicted, true)[0])

print("[\n" + ",\n".join(json.dumps(one, separators=(",", ":")) for one in cases) + "\n]")
