"""Section 5: what an answer costs, side by side with what a person would write instead.

    sh batch/environment.sh classifier notebook && .venv/bin/python bench/section5.py [--publish prices]

Every contender answers the same questions in one process: all 2,304 combinations of what can be known of a car, of
which the data has 752, in rounds that alternate. Exits 1 when a target is missed.
"""

import argparse
import itertools
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles

import numpy as np
import pandas as pd
from report import circumstances, publish, table, verdicts
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from section5 import artefact, evaluate, models, rules, settings  # noqa: E402
from section5.data import Data  # noqa: E402
from section5.predict import Predictor  # noqa: E402

Known = dict[str, str]
Contender = Callable[[Known], object]
TRAINING, P99 = 10.0, 5.0  # targets: seconds, milliseconds


def contenders(data: Data, chosen: settings.Settings) -> dict[str, tuple[float, Contender]]:
    """Of each contender the seconds to fit it, and how it answers one question."""
    names = data.schema.names
    cars = pd.DataFrame({n: np.array(data.schema.columns[n])[data.column(n)] for n in names})
    known = data.schema.evidence

    def product() -> Contender:
        fitted = models.fitted(data, chosen.inverse)
        return Predictor(artefact.make(data, fitted, chosen.inverse, {}), data).answer

    def pipeline(make: Callable[[], object]) -> Contender:
        fitted = make().fit(cars[known], cars["buying"])
        return lambda asked: fitted.predict_proba(pd.DataFrame([asked], columns=known))

    def counting() -> Contender:
        return lambda asked: cars[(cars[list(asked)] == list(asked.values())).all(axis=1)]["buying"].value_counts()

    made = {
        "product": product,
        "boosting (scikit-learn)": lambda: pipeline(
            lambda: make_pipeline(OrdinalEncoder(), GradientBoostingClassifier(random_state=0))
        ),
        "logistic (scikit-learn)": lambda: pipeline(
            lambda: make_pipeline(OneHotEncoder(), LogisticRegression(max_iter=500))
        ),
        "counting (pandas)": counting,
    }
    found = {}
    for name, make in made.items():
        begun = time.perf_counter()
        answer = make()
        found[name] = (time.perf_counter() - begun, answer)
    return found


def milliseconds(answer: Contender, asked: list[Known]) -> tuple[list[float], list[float]]:
    """How long each question takes, by the clock and in CPU time of this process."""
    wall, cpu = [], []
    for question in asked:
        begun, used = time.perf_counter(), time.process_time()
        answer(question)
        cpu.append((time.process_time() - used) * 1e3)
        wall.append((time.perf_counter() - begun) * 1e3)
    return wall, cpu


def training() -> float:
    """Seconds of a whole `train`: a new process that judges, fits and keeps the model."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(ROOT / "section5_manage.py"), "train", "--model", f"{folder}/model.json"]
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - begun


def main() -> int:
    """Measure, print, publish; 1 when a target is missed."""
    parser = argparse.ArgumentParser(description="what an answer of section 5 costs, side by side")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--questions", type=int, default=400, help="of the slow contenders, a round (default 400)")
    parser.add_argument("--publish", metavar="NAME", help="also write it into bench/README.md")
    options = parser.parse_args()

    chosen = settings.load()
    made = rules.load(chosen.path("rules"))
    data = Data(made.schema, made.classes)
    values = [data.schema.columns[name] for name in data.schema.evidence]
    asked = [dict(zip(data.schema.evidence, combination, strict=True)) for combination in itertools.product(*values)]
    order = np.random.default_rng(0)
    compared = contenders(data, chosen)
    product = compared["product"][1]
    in_support = [question for question in asked if product(question).supported]
    outside = [question for question in asked if not product(question).supported]
    of = {
        "product, in support": (product, in_support),
        "product, outside": (product, outside),
        **{name: (answer, asked) for name, (_, answer) in compared.items() if name != "product"},
    }
    times: dict[str, list[tuple[list[float], list[float]]]] = {name: [] for name in of}
    for number in range(options.rounds + 1):
        for name, (answer, questions) in of.items():
            drawn = order.choice(len(questions), min(options.questions, len(questions)), replace=False)
            found = milliseconds(answer, [questions[n] for n in drawn])
            if number:  # the first round warms up
                times[name].append(found)

    def percentile(name: str, which: int, clock: int = 0) -> float:
        return median(quantiles(found[clock], n=100)[which - 1] for found in times[name])

    folds = evaluate.grouped(data, chosen.evaluation)
    honest = models.compared(chosen.inverse)
    judged = {
        "product": "inverse",
        "boosting (scikit-learn)": "boosting, all",
        "logistic (scikit-learn)": "logistic, all",
    }
    figures = {
        name: evaluate.scores(evaluate.predicted(honest[of], data, folds)).figures() for name, of in judged.items()
    }
    rows = []
    for name in of:
        whose = name.partition(",")[0]
        score = figures.get(whose)
        rows.append(
            [
                name,
                f"{percentile(name, 50):.3f}",
                f"{percentile(name, 99):.3f}",
                f"{percentile(name, 99, clock=1):.3f}",
                f"{percentile(name, 50) / percentile('product, in support', 50):.1f}",
                f"{compared[whose][0]:.2f}",
                f"{score['accuracy']:.2%}" if score else "none",
                f"{score['log_loss']:.4f}" if score else "none",
                "yes" if whose == "product" else "no",
            ]
        )
    head = [
        "contender",
        "p50 ms",
        "p99 ms",
        "p99 CPU ms",
        "p50 / product",
        "fit s",
        "grouped accuracy",
        "log-loss",
        "says what it lacks",
    ]
    whole = median(training() for _ in range(3))
    slowest = max(percentile(name, 99, clock=1) for name in of if name.startswith("product"))
    inverse = figures["product"]
    targets = [
        (
            "product answers within 5 ms of CPU time (p99), in and outside the data's support",
            f"{slowest:.3f} ms",
            slowest <= P99,
        ),
        ("a whole `train`, with its judging, takes at most 10 s", f"{whole:.1f} s", whole <= TRAINING),
        ("grouped accuracy is at least 35 %", f"{inverse['accuracy']:.2%}", inverse["accuracy"] >= 0.35),
        ("grouped log-loss is at most 1.19", f"{inverse['log_loss']:.4f}", inverse["log_loss"] <= 1.19),
    ]
    footing = f"Medians of {options.rounds} rounds of up to {options.questions} questions, after one to warm up."
    text = "\n\n".join([table(head, rows), verdicts(targets), f"{footing} {circumstances()}"])
    print(text)
    if options.publish:
        publish(options.publish, text)
    return 0 if all(held for *_, held in targets) else 1


if __name__ == "__main__":
    sys.exit(main())
