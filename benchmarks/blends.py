"""Bundles with co-occurrence beside the bundles they were made of, as one table."""

from typing import Any

from pages import header, row

Line = dict[str, Any]
SHOWN = ("HR@5", "HR@20", "NDCG@20")
WORDS = (
    "`intently-train blend BUNDLE --data DATA --out ROOT` adds item co-occurrence to the scores with the weight that "
    "ranks best on validation; `intently-train compare` gives the difference on test with its 95 % interval "
    "(paired bootstrap over users)."
)


def blends(lines: list[Line]) -> str:
    """One row a blended bundle: its metrics on test, and by how much it differs from the plain one."""
    rows = header(("dataset", "bundle", "weight", *SHOWN, "NDCG@20 against the plain one"))
    for line in lines:
        if "blended" in line and line["split"] == "test":
            scores = (f"{line['metrics'][name]:.4f}" for name in SHOWN)
            found = difference(lines, [line["bundle_id"], line["blended"]])
            rows.append(row(line["dataset"], line["blended"], f"{line['weight']:.2f}", *scores, found))
    return "\n\n".join(["## Blend with co-occurrence", WORDS, "\n".join(rows)])


def difference(lines: list[Line], compared: list[str]) -> str:
    """With its interval, if the two were compared."""
    for line in lines:
        if line.get("compared") == compared:
            found = line["NDCG@20"]
            return f"{found['difference']:+.4f} [{found['low']:+.4f}, {found['high']:+.4f}]"
    return "not run"
