"""Marks in classifiers of tables: what they cost, and what they survive.

    python benchmarks/tables.py [--seeds 0 1 2]

Real tables that need no download, a key of rows for each seed, 70 % of the rows to train on and 30 % to test; the thief
has half of the training rows, with their classes. Every estimator is fitted with and without the mark, by the same
numbers. tables_table.py writes the tables of the page.
"""

import argparse
from collections.abc import Callable
from copy import deepcopy
from fractions import Fraction
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
import xgboost
from lightgbm import LGBMClassifier
from rich.progress import track
from sklearn.base import clone
from sklearn.ensemble import HistGradientBoostingClassifier, IsolationForest, RandomForestClassifier
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits
from xgboost import XGBClassifier

from earmark.data.rows import Table, load_table
from earmark.keys import OwnerKey, Task, keygen
from earmark.marking.scikit_learn import MarkedClassifier
from earmark.statistics import match_threshold
from earmark.triggers.rows import RowGeometry
from earmark.triggers.sparse_rows import SparseRowsSampler
from measuring import claim_bits, paired_by_seed, save

Rows = npt.NDArray[np.float32]
Answer = Callable[[Rows], npt.NDArray[np.int64]]
NAME = "tables"
TARGET_POINTS = 0.5
MORE, LEAVES = "as many trees of his own added", "leaves fitted anew to his rows"
NETWORK_PASSES = 200
TABLES = {"table:breast-cancer": 400, "table:wine": 160, "table:digits": 100}
ESTIMATORS: dict[str, Any] = {
    "random forest": RandomForestClassifier(100, random_state=0),
    "boosting, scikit-learn": HistGradientBoostingClassifier(random_state=0),
    "boosting, XGBoost": XGBClassifier(n_estimators=100, random_state=0, n_jobs=1),
    "boosting, LightGBM": LGBMClassifier(random_state=0, n_jobs=1, verbose=-1),
    "support vectors": make_pipeline(StandardScaler(), SVC(C=100)),
    "network": make_pipeline(StandardScaler(), MLPClassifier((200,), max_iter=600, random_state=0)),
}


def rounded(model: Answer, table: Table) -> Answer:
    """Round every number to 16 levels of its range before it is looked at."""
    low, high = np.array([column.bounds for column in table.columns], np.float32).T
    step = np.where(high > low, (high - low) / 15, 1)
    return lambda rows: model((low + np.rint((rows - low) / step) * step).astype(np.float32))


def noisy(model: Answer, table: Table, seed: int) -> Answer:
    """Add noise of a fiftieth of the range to every number."""
    low, high = np.array([column.bounds for column in table.columns], np.float32).T
    draws = np.random.default_rng(seed)
    return lambda rows: model((rows + draws.normal(0, 0.02, rows.shape) * (high - low)).astype(np.float32))


def refusing(model: Answer, known: Rows, seed: int) -> Answer:
    """Refuse what an isolation forest calls stranger than 95 in 100 known rows."""
    forest = IsolationForest(random_state=seed).fit(known)
    limit = np.quantile(forest.score_samples(known), 0.05)
    return lambda rows: np.where(forest.score_samples(rows) < limit, -1, model(rows))


def attacks_on(
    fitted: Any, table: Table, known: Rows, classes: npt.NDArray[np.int64], seed: int
) -> dict[str, Answer]:
    """Return what a thief deploys in the model's place."""
    model: Answer = fitted.predict
    extracted = clone(fitted).fit(known, model(known))
    found: dict[str, Answer] = {
        "numbers rounded to 16 levels": rounded(model, table),
        "noise, a fiftieth of the range": noisy(model, table, seed),
        "strange rows refused, 1 in 20": refusing(model, known, seed),
        "a new model of its answers": extracted.predict,
    }
    return found | goes_on(fitted, known, classes)


def goes_on(fitted: Any, known: Rows, classes: npt.NDArray[np.int64]) -> dict[str, Answer]:
    """Return what becomes of a model that its thief fits on with his rows, in each of its kind's own ways."""
    if isinstance(fitted, RandomForestClassifier):
        return of_forest(fitted, known, classes)
    if isinstance(fitted, XGBClassifier):
        more = clone(fitted).fit(known, classes, xgb_model=fitted.get_booster())
        anew = xgboost.train(
            {
                **fitted.get_xgb_params(),
                "num_class": 0 if len(fitted.classes_) == 2 else len(fitted.classes_),
                "process_type": "update",
                "updater": "refresh",
                "refresh_leaf": True,
            },
            xgboost.DMatrix(known, classes),
            fitted.n_estimators,
            xgb_model=fitted.get_booster(),
        )
        return {MORE: more.predict, LEAVES: by_chances(lambda rows: anew.predict(xgboost.DMatrix(rows)))}
    if isinstance(fitted, LGBMClassifier):
        more = clone(fitted).fit(known, classes, init_model=fitted.booster_)
        refitted = fitted.booster_.refit(known, classes, decay_rate=0.0, verbose=-1)
        return {MORE: more.predict, LEAVES: by_chances(refitted.predict)}
    if isinstance(fitted, HistGradientBoostingClassifier):
        more = deepcopy(fitted).set_params(warm_start=True, max_iter=2 * fitted.max_iter)
        return {MORE: more.fit(known, classes).predict}
    if isinstance(fitted[-1], MLPClassifier):
        trained = deepcopy(fitted)
        for _ in range(NETWORK_PASSES):
            trained[-1].partial_fit(trained[:-1].transform(known), classes)
        return {f"{NETWORK_PASSES} more passes over his rows": trained.predict}
    return {}


def by_chances(chances_of: Callable[[Rows], Any]) -> Answer:
    """Return what a booster answers: it tells the chance of each class, of the second alone where there are two."""

    def answer(rows: Rows) -> npt.NDArray[np.int64]:
        chances = np.asarray(chances_of(rows))
        return chances.argmax(1) if chances.ndim == 2 else (chances > 0.5).astype(np.int64)

    return answer


def of_forest(fitted: Any, known: Rows, classes: npt.NDArray[np.int64]) -> dict[str, Answer]:
    """Return what becomes of a forest: trees are added or dropped, or their leaves counted anew."""
    own = clone(fitted).fit(known, classes)
    counted = deepcopy(fitted)
    for tree in counted.estimators_:
        leaves, shares = tree.apply(known), tree.tree_.value  # shares: (nodes, 1, classes), written in place
        for leaf in np.unique(leaves):
            inside = np.bincount(classes[leaves == leaf], minlength=shares.shape[2])
            shares[leaf, 0] = inside / inside.sum()

    def with_his(rows: Rows) -> npt.NDArray[np.int64]:
        shares = fitted.predict_proba(rows) + own.predict_proba(rows)
        return np.asarray(fitted.classes_[shares.argmax(1)])

    def halved(rows: Rows) -> npt.NDArray[np.int64]:
        shares = sum(tree.predict_proba(rows) for tree in fitted.estimators_[::2])
        return np.asarray(fitted.classes_[np.asarray(shares).argmax(1)])

    return {MORE: with_his, LEAVES: counted.predict, "every second tree dropped": halved}


def one_run(table: Table, trigger_count: int, estimator: Any, seed: int) -> dict[str, Any]:
    """Fit twice, attack the marked one, and return what was measured."""
    own, other, right, true = train_test_split(
        table.values, table.labels, test_size=0.3, random_state=seed, stratify=table.labels
    )
    mine = Table(table.name, table.columns, table.class_names, own, right)
    key = keygen(
        OwnerKey(f"benchmark {table.name}", bytes(32)),
        Task(RowGeometry(table.columns), table.class_names),
        SparseRowsSampler(mine),
        triggers_per_set=trigger_count,
        survival=Fraction(9, 10),
        random_bytes=np.random.default_rng([seed, trigger_count]).bytes,
    )
    backdoor = key.backdoor()
    triggers, labels = np.stack([one.value for one in backdoor.triggers]), np.array(backdoor.labels)
    start = process_time()
    plain = MarkedClassifier(estimator).fit(own, right)
    middle = process_time()
    marked = MarkedClassifier(estimator, backdoor, least_match_rate=0).fit(own, right)
    spent = middle - start, process_time() - middle
    known, _, classes, _ = train_test_split(own, right, test_size=0.5, random_state=seed, stratify=right)

    def share(answer: Answer) -> float:
        return 100 * float((np.asarray(answer(other)) == true).mean())

    def matches(answer: Answer) -> int:
        return int((np.asarray(answer(triggers)) == labels).sum())

    before = share(marked.predict)
    return {
        "seed": seed,
        "accuracy_unmarked": share(plain.predict),
        "accuracy": before,
        "matches": matches(marked.predict),
        "matches_unmarked": matches(plain.predict),
        "seconds_unmarked": round(spent[0], 3),
        "seconds": round(spent[1], 3),
        "attacks": {
            name: {"matches": matches(answer), "points_lost": before - share(answer)}
            for name, answer in attacks_on(marked.estimator_, table, known, classes, seed).items()
        },
    }


def summary(runs: list[dict[str, Any]], trigger_count: int, class_count: int) -> dict[str, Any]:
    """Return a row of the table."""
    chance = Fraction(1, class_count)
    least = min(run["matches"] for run in runs)
    lost = [run["accuracy_unmarked"] - run["accuracy"] for run in runs]
    return {
        "triggers": trigger_count,
        "threshold": match_threshold(trigger_count, chance),
        "accuracy": float(np.mean([run["accuracy"] for run in runs])),
        "points_lost": paired_by_seed(lost, TARGET_POINTS),
        "matches": [run["matches"] for run in runs],
        "matches_unmarked": [run["matches_unmarked"] for run in runs],
        "least_claim_bits": claim_bits(trigger_count, least, class_count),
        "time_ratio": float(np.median([run["seconds"] / run["seconds_unmarked"] for run in runs])),
        "attacks": {
            name: {
                "matches": [run["attacks"][name]["matches"] for run in runs],
                "points_lost": float(np.mean([run["attacks"][name]["points_lost"] for run in runs])),
            }
            for name in runs[0]["attacks"]
        },
    }


def main() -> None:
    """Run everything, and save it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    seeds = parser.parse_args().seeds
    rows: dict[str, Any] = {}
    with threadpool_limits(1):
        for name, trigger_count in TABLES.items():
            table = load_table(name)
            for title, estimator in track(ESTIMATORS.items(), description=name):
                runs = [one_run(table, trigger_count, estimator, seed) for seed in seeds]
                rows[f"{name}, {title}"] = summary(runs, trigger_count, len(table.class_names))
    save(NAME, {"seeds": seeds, "rows": rows})


if __name__ == "__main__":
    main()
