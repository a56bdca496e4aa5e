"""What tests read of Figures 5 to 7, and databases that are altered for them."""

import json

import duckdb
from fake_mixtures import made_up

from online_il.config.arms import FIGURES
from online_il.statistics.curves import add_intervals


def made_up_study(folder):
    """The settings of a made-up study, its database, and what each figure shows of it."""
    settings, database = made_up(folder)
    (task,) = settings.tasks
    return task, database, {name: {task.name: found(task)} for name, found in FIGURES.items()}


def layers(node):
    if "layer" in node:
        return [node]
    parts = node.get("vconcat", node.get("hconcat", []))
    return [panel for part in parts for panel in layers(part)]


def rows(spec, panel, mark, place=0):
    """The rows behind a mark of a panel; layers that share them leave them to the panel."""
    layer = marked(panel, mark)[place]
    return spec["datasets"][(layer.get("data") or panel["data"])["name"]]


def marked(panel, mark):
    return [layer for layer in panel["layer"] if layer["mark"]["type"] == mark]


def coverage_axis(panel):
    """The x of Figure 6."""
    x = (layer["encoding"].get("x", {}) for layer in panel["layer"])
    return next(found for found in x if found.get("axis"))


def labels_of(axis):
    """The lines of the label of each value on the axis of Figure 6."""
    texts, _, places = axis["labelExpr"].removesuffix(", datum.value)]").partition("[indexof(")
    assert json.loads(places) == axis["values"]
    return dict(zip(axis["values"], json.loads(texts), strict=True))


def words(spec):
    return " ".join(spec["title"]["subtitle"])


def altered(database, folder, *statements):
    """A copy of the database that some statements have changed, with intervals of its own."""
    copy = folder / "altered.duckdb"
    copy.write_bytes(database.read_bytes())
    with duckdb.connect(str(copy)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.execute("DROP TABLE intervals")
        add_intervals(connection)
    return copy


def without(condition):
    """Statements that delete evaluations and the prompts behind them."""
    tables = ("evaluations", "prompt_accuracy")
    return [f"DELETE FROM {table} WHERE {condition}" for table in tables]


def made_of(parts, condition):
    """A statement that gives some mixtures other parts."""
    settings = f"json_merge_patch(settings, '{json.dumps({'parts': parts})}')"
    return f"UPDATE runs SET settings = {settings} WHERE method = 'mixture' AND {condition}"


def labels(spec, panel):
    return {row["label"].rpartition(" ")[0]: row for row in rows(spec, panel, "rule")}
