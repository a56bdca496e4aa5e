"""A study's verdicts once more, from its Parquet files, by code that shares nothing with ours.

Only NumPy, SciPy, statsmodels, pandas, DuckDB and YAML. The numbers of the theory, and Table 1's
excess with its errors, are taken as they stand in the study's tables.
"""

import json
import math
import re
from collections import defaultdict
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import yaml
from recomputed_effects import Estimate, crossing, students, two_way, unvaried
from statsmodels.stats.multitest import multipletests

GROUPS = {
    "in-distribution": ["id", "gsm8k", "aime2024", "aime2025", "math500"],
    "out-of-distribution": ["ood"],
    "forgetting": ["forgetting", "mmlu"],
}
CLOCKS = {"updates", "samples", "device-seconds"}
PLACE = re.compile(r"eval/([^/]+)/([^/]+)/seed(\d+)/step(\d+)/([^/.]+)\.parquet$")
DRAWS = 10_000


def read(results):
    """Accuracies (seed, step, prompt), steps, seeds and responses of each task, benchmark, run."""
    files = [f for f in results.glob("eval/*/*/seed*/step*/*.parquet") if PLACE.search(str(f))]
    rows = duckdb.execute(
        "SELECT filename, prompt_id, avg(correct::INT) AS a, count(*) AS n FROM "
        "read_parquet($1, filename = true, union_by_name = true) GROUP BY ALL",
        [[str(file) for file in files]],
    ).df()
    keys = rows["filename"].str.extract(PLACE)
    rows = rows.assign(
        **dict(zip(("task", "run", "seed", "step", "on"), keys.T.values, strict=True))
    )
    rows = rows.astype({"seed": int, "step": int})
    found, costs = defaultdict(dict), []
    for (task, on, run), part in rows.groupby(["task", "on", "run"]):
        table = part.pivot_table("a", ["seed", "step"], "prompt_id").sort_index()
        seeds, steps = (sorted(part[key].unique()) for key in ("seed", "step"))
        cube = table.to_numpy().reshape(len(seeds), len(steps), -1)
        counts = part.groupby("step")["n"].min().sort_index().tolist()
        found[task, on][run] = {"a": cube, "seeds": seeds, "steps": steps, "m": counts}
    for file in files:
        facts = json.loads(file.with_suffix(".json").read_text())
        facts["device-seconds"] = facts["device_seconds"]
        rootless = facts["run"] == "base" or facts["method"] == "pretrain"
        facts["start"] = "" if rootless else facts.get("start") or "base"
        costs.append(facts)
    return found, pd.DataFrame(costs).drop_duplicates(["task", "run", "seed", "step"])


class Study:
    """`whole`: (task, benchmark) whose prompts are all there are. `looks`: planned, in blocks."""

    def __init__(self, results, claims, whole=(), looks=(), blocks=None):
        self.results, self.whole = results, whole
        self.looks, self.blocks, self.first = looks, blocks, None
        self.runs, self.costs = read(results)
        self.claims = yaml.safe_load(claims.read_text())["claims"]
        self.rows, self.rng = {}, np.random.default_rng(7)

    # ---- numbers ----

    def is_base(self, task, name):
        return self.base_of(task, name) == name

    def looked_at(self, task):
        """The first seeds of a task's runs, as many as the look has blocks."""
        own = self.costs[(self.costs["task"] == task) & (self.costs["start"] != "")]
        return set(sorted(own["seed"].unique())[: self.first])

    def base_of(self, task, run):
        starts = self.costs[self.costs["task"] == task].drop_duplicates("run").set_index("run")
        while starts["start"].get(run):
            run = starts["start"][run].partition("@")[0]
        return run

    def row(self, claim, task, on):
        runs, names = self.runs[task, on], claim["runs"]
        base, clock = self.base_of(task, names[0]), claim["statistic"] in CLOCKS
        needed = [*names]
        if claim["kind"] == "degradation":
            needed.append(base)
        if clock:
            starts = (
                self.costs.query("task == @task").drop_duplicates("run").set_index("run")["start"]
            )
            needed += ["expert", self.base_of(task, "expert")]
            needed += [starts[name].partition("@")[0] for name in names if name in starts]
        if not set(needed) <= runs.keys():
            return None
        # A base of one seed serves all; else each seed has its own.
        shared = [n for n in runs if self.is_base(task, n) and len(runs[n]["seeds"]) == 1]
        own = (set(runs[name]["seeds"]) for name in needed if name not in shared)
        seeds = sorted(self.looked_at(task).intersection(*own))
        if not seeds:
            return None

        def cube(name):
            one = runs[name]
            if name in shared:
                return np.repeat(one["a"][:1, -1:], len(seeds), 0)
            return one["a"][[one["seeds"].index(seed) for seed in seeds]]

        ends = claim["statistic"] not in ("worst-drop", "drop-from-best")
        m = min(runs[name]["m"][-1] if ends else min(runs[name]["m"]) for name in needed)
        whole = (task, on) in self.whole
        estimate = students if whole else two_way
        margin, side = claim["margin"], claim.get("expect", claim["kind"])
        if side == "degradation":
            side = "below" if claim["statistic"] == "worst-drop" else "above"
        region = (-math.inf, margin)
        if side == "equivalence":
            region = (-margin, margin)
        elif side in ("superiority", "at-least", "above"):
            region = (margin, math.inf)
        last = [cube(name)[:, -1] for name in names]
        found = {"number": (task, on, claim["statistic"], *names), "barred": len(seeds) == 1}
        if clock:
            return found | self.clock(claim, task, names, seeds, cube, region, whole)
        if claim["statistic"] == "worst-drop":
            drops = cube(base) - cube(names[0])
            found["unvaried"] = whole and unvaried(*drops.swapaxes(0, 1))
            return found | self.curve(drops, claim["margin"], estimate, m)
        if claim["kind"] == "range":
            pairs = [a - b for i, a in enumerate(last) for j, b in enumerate(last) if i != j]
            found["unvaried"] = whole and unvaried(*pairs)
            return found | self.curve(np.stack(pairs, 1), claim["margin"], estimate, m)
        if claim["kind"] == "degradation":
            before = np.concatenate([cube(base), cube(names[0])[:, :-1]], 1)
            if claim["statistic"] == "final-drop":
                table = before[:, 0] - last[0]
            else:
                mean = before.mean(2)
                others = mean.sum(0) - mean if len(mean) > 1 else mean
                table = before[range(len(mean)), others.argmax(1)] - last[0]
            effect = estimate(table, m)
        elif claim["kind"] == "interaction":
            table = last[0] - last[1] - last[2] + last[3]
            effect = students(table, m, 2.0)
        else:
            table = last[0] - last[1]
            effect = estimate(table, m)
            found["number"] = (task, on, "difference", *sorted(names))
        found["unvaried"] = whole and unvaried(table)
        return found | self.single(effect, region)

    @staticmethod
    def single(effect, region):
        inside = min(effect.mean - region[0], region[1] - effect.mean)
        return {
            "effect": effect.mean,
            "p": effect.p(inside),
            "side": "supported" if inside > 0 else "contradicted",
        }

    def curve(self, table, margin, estimate, m):
        effects = [estimate(table[:, k], m) for k in range(table.shape[1])]
        top = max(effect.mean for effect in effects)
        if top < margin:
            p = max(effect.p(margin - effect.mean) for effect in effects)
            return {"effect": top, "p": p, "side": "supported"}
        # Bonferroni: any one of the points may be the one that is above.
        p = min(effect.p(effect.mean - margin) for effect in effects if effect.mean >= margin)
        p = min(1.0, p * len(effects))
        return {"effect": top, "p": p, "side": "contradicted"}

    def clock(self, claim, task, names, seeds, cube, region, whole):
        costs = self.costs[(self.costs["task"] == task) & self.costs["seed"].isin(seeds)]
        unit, curves = claim["statistic"], []
        first = costs.drop_duplicates("run").set_index("run")["start"]
        for name in names:
            before, _, step = first[name].partition("@")
            at = (
                self.runs[task, "id"].get(before, {}).get("steps", []).index(int(step))
                if step
                else 0
            )
            cost = costs[costs["run"] == name].groupby("step")[unit].mean().sort_index().to_numpy()
            curve = np.concatenate([cube(before)[:, [at]], cube(name)], 1)
            curves.append((curve, np.append(0.0, cost)))
        base, expert = cube(self.base_of(task, "expert"))[:, 0], cube("expert")[:, -1]

        def log_ratio(rows, columns):
            start = rows @ base @ columns
            gain = rows @ expert @ columns - start
            found = [crossing(rows @ (c @ columns), cost, start + 0.9 * gain) for c, cost in curves]
            ratio = math.log(found[1][0] / found[0][0]) if gain > 0 else math.nan
            return ratio, found[0][1], found[1][1]

        s, n = expert.shape
        each, all_of = np.full(s, 1 / s), np.full(n, 1 / n)
        value, *never = log_ratio(each, all_of)
        drawn = self.rng.multinomial(s, each, DRAWS // 5) / s
        by_seed = np.array([log_ratio(rows, all_of) for rows in drawn])
        drawn = self.rng.multinomial(n, all_of, DRAWS // 5) / n
        by_prompt = np.array([log_ratio(each, columns) for columns in drawn])
        if math.isnan(value):
            return {"effect": None, "p": None, "side": "undecided", "barred": True}
        by_prompt = by_seed if whole and s > 1 else by_prompt
        parts = [] if whole and s > 1 else [(np.nanvar(by_prompt[:, 0]), n - 1)]
        if s > 1:
            parts.append((np.nanvar(by_seed[:, 0]) * s / (s - 1), s - 1))
        if unit == "device-seconds":
            done = costs[~costs["method"].isin(["pretrain", "mixture"])]
            done = (
                done.groupby(["run", "seed"])[["device_seconds", "tokens"]]
                .max()
                .query("tokens > 0")
            )
            log = np.log(done["device_seconds"] / done["tokens"])
            within, free = (
                log - log.groupby("run").transform("mean"),
                len(log) - len(set(done.index.get_level_values(0))),
            )
            if free:
                parts.append((2 * (within**2).sum() / free, free))
        region = tuple(
            math.copysign(math.log(abs(x)), x) if math.isfinite(x) else x for x in region
        )
        found = self.single(Estimate(value, parts), region)
        late = [
            max(1.0 if one else 0.0, by_seed[:, 1 + i].mean(), by_prompt[:, 1 + i].mean()) > 0.025
            for i, one in enumerate(never)
        ]
        above = value > region[1] if math.isfinite(region[1]) else value > region[0]
        lost = np.isnan(np.append(by_seed[:, 0], by_prompt[:, 0])).mean() > 0.05
        barred = (late[0] and (above or late[1])) or (late[1] and not above) or lost or s == 1
        clocks = {
            name: tuple((curve[1] / curves[0][1][-1]).round(6))
            for name, curve in zip(names, curves, strict=True)
        }
        number = (task, "clock", *(x for name in names for x in (name, clocks[name])))
        found["unvaried"] = whole and s > 1 and unvaried(by_seed[:, :1])
        return found | {"effect": math.exp(value), "barred": barred, "number": number}

    def pairs(self, claim):
        experts = defaultdict(set)
        for task, run in self.costs[["task", "run"]].itertuples(index=False):
            experts[task].add(run)
        for file in sorted(self.results.glob("discrepancy/*/*/*.parquet")):
            task, pair = file.parts[-3], [file.parts[-2], file.stem]
            wanted = claim.get("pair")
            if pair != wanted if wanted else pair[0] in experts[task]:
                continue
            facts = duckdb.execute(
                "SELECT value FROM parquet_kv_metadata($1)", [str(file)]
            ).fetchall()
            facts = next(json.loads(v) for (v,) in facts if b'"n_prompts"' in v)
            for one in pd.read_parquet(file).to_dict("records"):
                many = claim["measure"].endswith(" ")
                if not (
                    one["measure"].startswith(claim["measure"])
                    if many
                    else one["measure"] == claim["measure"]
                ):
                    continue
                word = one["measure"].removeprefix(claim["measure"])
                name = "-".join(
                    filter(None, [task, claim["id"], "" if wanted else "/".join(pair), word])
                )
                if one["off_common"] < 0.01:
                    self.rows[name] = None
                    continue
                parts = [(one["excess_stderr"] ** 2, facts["n_prompts"] - 1)]
                if facts["n_seeds"]:
                    parts.append((one["excess_stderr_seeds"] ** 2, facts["n_seeds"] - 1))
                found = self.single(Estimate(one["excess"], parts), (claim["margin"], math.inf))
                barred = found["side"] == "supported" and not one["above_noise"]
                number = (task, *pair, one["measure"])
                self.rows[name] = found | {
                    "barred": barred,
                    "number": number,
                    "claim": claim,
                    "task": task,
                }

    # ---- verdicts ----

    def judge(self, theory):
        """All verdicts by id; `theory` are those of the theory's claims, as they stand.

        Of planned looks the smallest p so far counts, times their number; what is decided stays.
        """
        reached = [look for look in self.looks if look <= self.blocks]
        before, decided = {}, {}
        for look in reached or [None]:
            self.first, self.rows = look, {}
            self.measure(pairs=look == (reached or [None])[-1])
            for name, one in self.rows.items():
                if not one or one["p"] is None:
                    continue
                one["p"] = min(1.0, one["p"] * max(1, len(self.looks)))
                # Pairs are compared over all blocks, so at a look alone.
                unplanned = one["claim"]["kind"] == "discrepancy" and self.blocks not in self.looks
                one["barred"] = one["barred"] or (self.looks and (unplanned or not reached))
                # Blocks that all do the same decide nothing until no more of them are planned.
                if one.get("unvaried") and look != max(self.looks, default=-1):
                    one["barred"] = True
                old = before.get(name)
                if old and old["p"] is not None and old["p"] < one["p"] and not old["barred"]:
                    one |= {"p": old["p"], "side": old["side"], "barred": False}
            before, verdicts = self.rows, self.verdicts(theory)
            for name in verdicts:
                if verdicts[name] in ("supported", "contradicted"):
                    decided.setdefault(name, verdicts[name])
        return verdicts | decided

    def measure(self, pairs):
        for claim in self.claims:
            if claim["kind"] == "discrepancy" and pairs:
                self.pairs(claim)
            elif "benchmarks" in claim:
                for task in sorted({task for task, _ in self.runs}):
                    own = [on for on in GROUPS[claim["benchmarks"]] if (task, on) in self.runs]
                    for on in own:
                        where = f"{task}-{on}" if len(own) > 1 else task
                        found = self.row(claim, task, on)
                        own_row = found and found | {"claim": claim, "task": task}
                        self.rows[f"{where}-{claim['id']}"] = own_row

    def verdicts(self, theory):
        rows = {name: one for name, one in self.rows.items() if one}
        family, first = {}, {}
        for name, one in rows.items():
            home = first.setdefault(one["number"], (one["task"], one["claim"]["family"]))
            family[name] = home
        verdicts = dict.fromkeys(self.rows, "not run")
        for name, one in rows.items():
            # Of each other number of the family the largest p; Holm then treats it as one.
            worst = {}
            for other, two in rows.items():
                if family[other] == family[name] and two["p"] is not None:
                    worst[two["number"]] = max(worst.get(two["number"], 0.0), two["p"])
            one["alone"] = (
                "undecided"
                if one["barred"] or one["p"] is None or one["p"] >= 0.05
                else one["side"]
            )
            if one["p"] is None:
                verdicts[name] = "undecided"
                continue
            worst[one["number"]] = one["p"]
            numbers = list(worst)
            corrected = multipletests(list(worst.values()), method="holm")[1]
            one["p_holm"] = corrected[numbers.index(one["number"])]
            verdicts[name] = "undecided" if one["p_holm"] >= 0.05 else one["alone"]
        for claim in self.claims:
            if claim["kind"] == "conjunction":
                verdicts[claim["id"]] = self.conjunction(claim, rows, theory)
        return verdicts

    @staticmethod
    def conjunction(claim, rows, theory):
        alone, against, absent = [], [], False
        for part in claim["claims"]:
            own = [one for one in rows.values() if one["claim"]["id"] == part]
            if part in theory and theory[part] != "not run":
                alone.append(theory[part])
                against.append(0.0 if theory[part] == "contradicted" else 1.0)
            absent = absent or not (own or theory.get(part, "not run") != "not run")
            alone += [one["alone"] for one in own]
            against += [one["p"] if one["alone"] == "contradicted" else 1.0 for one in own]
        if not alone:
            return "not run"
        if (multipletests(against, method="holm")[1] < 0.05).any():
            return "contradicted"
        return "supported" if set(alone) == {"supported"} and not absent else "undecided"


def compared(results: Path, claims: Path, whole=()) -> list[str]:
    """Compare the verdicts and effects of claims.json with those made anew; list what differs."""
    record = json.loads((results / "claims.json").read_text())
    written = {one["id"]: one for one in record["claims"]}
    theory = {name: one["verdict"] for name, one in written.items() if one["kind"] == "theory"}
    study = Study(results, claims, whole, record["looks"], record["blocks"])
    verdicts = study.judge(theory)
    wrong = [
        f"{name}: not judged"
        for name in written.keys() - verdicts.keys() - theory.keys()
        if written[name]["verdict"] != "not run"
    ]
    for name, verdict in verdicts.items():
        one, mine = written[name], study.rows.get(name) or {}
        effect = mine.get("effect")
        if effect is not None and not np.isclose(effect, one["effect"], rtol=1e-6, atol=1e-9):
            wrong.append(f"{name}: effect {one['effect']} is {effect}")
        # Bootstraps have other random numbers here.
        drawn = mine and mine["claim"].get("statistic") in {*CLOCKS, "worst-drop"}
        close = drawn and 0.04 < (mine.get("p_holm") or 0.0) < 0.0625
        if verdict != one["verdict"] and not close:
            wrong.append(f"{name}: {one['verdict']} is {verdict}")
    return wrong
