#!/usr/bin/python3
"""Whether windows of a link tell a busy agent from an idle one: the last part of `make privacy-wire`.

    tests/tools/classify.py TABLE

Boosted trees (scikit-learn's HistGradientBoostingClassifier) are trained on the windows of some agents and asked about
those of the others, so that no agent is judged by what was learned from itself. The area under the ROC curve counts pairs of
windows of the same agent. Its lower 95 % bound is from a bootstrap over spans, the times in which the load did not
change, since windows of a span are not independent; agents keep theirs.

Fails if the bound for agents of the profile `anonymous` is over 0.52, if that of the control, whose size
follows its load, is under 0.9, or if there is too little to say so.
"""

import csv
import sys
from collections import defaultdict

import numpy
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.model_selection import GroupKFold

LIMIT = 0.52
CONTROL = 0.9
WINDOWS_A_CLASS = 1500
AGENTS = 10
RESAMPLES = 2000
SEED = 1


def read(path):
    """The table by kind: agents, spans, labels, features."""
    kinds = defaultdict(list)
    with open(path, newline="") as file:
        lines = csv.reader(file)
        names = next(lines)[4:]
        for kind, agent, span, busy, *features in lines:
            numbers = [float(text) if text else numpy.nan for text in features]
            kinds[kind].append((int(agent), int(span), int(busy), numbers))
    tables = {}
    for kind, rows in kinds.items():
        agents, spans, busy, features = zip(*rows)
        tables[kind] = [numpy.array(column) for column in (agents, spans, busy, features)]
    return names, tables


def scores(agents, busy, features):
    """For each window, what a classifier says that has not seen its agent."""
    number = len(set(agents))
    if number < 2:
        sys.exit("FAILED: what is learned from an agent needs another one to be asked about")
    said = numpy.zeros(len(busy))
    folds = GroupKFold(n_splits=min(6, number))
    for known, asked in folds.split(features, busy, agents):
        trees = HistGradientBoostingClassifier(
            max_iter=150, learning_rate=0.06, max_leaf_nodes=15, min_samples_leaf=20, random_state=SEED
        )
        trees.fit(features[known], busy[known])
        said[asked] = trees.predict_proba(features[asked])[:, 1]
    return said


def larger(busy, idle):
    """Of all pairs, how many have the larger score in the busy window; ties count half."""
    idle = numpy.sort(idle)
    below = numpy.searchsorted(idle, busy, side="left")
    upto = numpy.searchsorted(idle, busy, side="right")
    return (below.sum() + upto.sum()) / 2


class Agent:
    """An agent's scores by span, with the count of pairs that go the right way between any two spans."""

    def __init__(self, spans, busy, said):
        of = {kind: [said[(spans == span) & (busy == kind)] for span in sorted(set(spans[busy == kind]))] for kind in (0, 1)}
        self.right = numpy.array([[larger(b, i) for i in of[0]] for b in of[1]])
        self.pairs = numpy.array([[len(b) * len(i) for i in of[0]] for b in of[1]])

    def count(self, random=None):
        """Right pairs and all pairs, of all spans or of as many drawn with replacement."""
        rows, columns = self.pairs.shape
        busy = numpy.ones(rows) if random is None else random.multinomial(rows, [1 / rows] * rows)
        idle = numpy.ones(columns) if random is None else random.multinomial(columns, [1 / columns] * columns)
        return busy @ self.right @ idle, busy @ self.pairs @ idle


def area(agents, random=None):
    right, pairs = zip(*(agent.count(random) for agent in agents))
    return sum(right) / sum(pairs)


def judge(kind, table):
    """The area, its lower 95 % bound (one-sided) and the 95 % interval."""
    agents, spans, busy, features = table
    said = scores(agents, busy, features)
    judged = [Agent(spans[agents == a], busy[agents == a], said[agents == a]) for a in sorted(set(agents))]
    random = numpy.random.default_rng(SEED)
    drawn = [area(judged, random) for _ in range(RESAMPLES)]
    lower = numpy.quantile(drawn, 0.05)
    low, high = numpy.quantile(drawn, [0.025, 0.975])
    print(
        f"{kind}: {len(judged)} agents, {int((busy == 0).sum())} idle and {int(busy.sum())} busy windows: "
        f"AUC {area(judged):.4f}, lower 95 % bound {lower:.4f} (95 % interval {low:.4f} to {high:.4f})"
    )
    return lower


def best_feature(names, table):
    """What a single feature tells, for whoever wants to know where a leak is."""
    _, _, busy, features = table
    areas = []
    for name, column in zip(names, features.T):
        column = numpy.nan_to_num(column, nan=-numpy.inf)
        pairs = (busy == 1).sum() * (busy == 0).sum()
        areas.append((abs(larger(column[busy == 1], column[busy == 0]) / pairs - 0.5), name))
    distance, name = max(areas)
    print(f"  the feature that tells most: {name}, AUC {0.5 + distance:.4f} in its better direction")


def main():
    names, tables = read(sys.argv[1])
    failures = []
    lower = {}
    for kind in ("anonymous", "control"):
        lower[kind] = judge(kind, tables[kind])
        best_feature(names, tables[kind])
    agents, _, busy, _ = tables["anonymous"]
    if "--few" not in sys.argv and (len(set(agents)) < AGENTS or min(busy.sum(), (1 - busy).sum()) < WINDOWS_A_CLASS):
        failures.append(f"fewer than {WINDOWS_A_CLASS} windows a class or {AGENTS} agents")
    if lower["anonymous"] > LIMIT:
        failures.append(f"idle and busy can be told apart: the bound is over {LIMIT}")
    if lower["control"] < CONTROL:
        failures.append(f"the control can't be told apart, so this shows nothing: the bound is under {CONTROL}")
    for failure in failures:
        print(f"FAILED: {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
