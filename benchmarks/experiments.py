"""What `reproduce.py` runs on each dataset, in order of importance, and how the papers name it."""

from dataclasses import dataclass
from typing import Any

FILES = {
    "beauty": "Beauty.txt",
    "sports": "Sports_and_Outdoors.txt",
    "toys": "Toys_and_Games.txt",
    "yelp": "Yelp.txt",
    "ml-1m": "ml-1m.txt",
    "beauty-54k": "Beauty-54k.pairs.txt",
}
PUBLISHED_NAMES = dict(zip(FILES, ("Beauty", "Sports", "Toys", "Yelp", "ML-1M", "Beauty-54k"), strict=True))
METHODS = ("iclrec", "elcrec", "s4rec", "cl4srec", "dssrec", "sasrec")
PUBLISHED_METHODS = {
    "iclrec": "ICLRec",
    "elcrec": "ELCRec",
    "s4rec": "S4Rec",
    "cl4srec": "CL4SRec",
    "dssrec": "DSSRec",
    "sasrec": "SASRec",
}
PAPER, DEFAULT, ABLATION = "papers", "default configurations", "ablations"
SENSITIVITY, NOISE = "sensitivity", "noise"


@dataclass(frozen=True)
class Experiment:
    """One configuration with its settings, for some seeds."""

    table: str
    row: str  # what the table calls it
    configuration: str
    settings: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (1,)
    published: str | None = None  # the method's name in published.csv
    sampled: bool = False  # also under the legacy protocol

    @property
    def name(self) -> str:
        """Fit for a directory."""
        words = (setting.replace("=[]", "-none").replace("=", "-") for setting in self.settings)
        return "+".join([self.configuration.replace("/", "-"), *words])

    def matches(self, line: dict[str, Any], seed: int | None = None) -> bool:
        """Whether a result line is of this experiment (and seed)."""
        same = line.get("configuration") == self.configuration and tuple(line.get("settings", ())) == self.settings
        return same and (seed is None or line.get("seed") == seed)


def experiments(dataset: str) -> list[Experiment]:
    """All experiments on a dataset, the most important first."""
    if dataset == "beauty-54k":
        return [
            Experiment(PAPER, "dssrec", "papers/dssrec", published="DSSRec", sampled=True),
            Experiment(
                ABLATION,
                "dssrec w/o seq2seq",
                "papers/dssrec",
                ("options.seq2seq_weight=0",),
                published="DSSRec w/o seq2seq",
                sampled=True,
            ),
        ]
    several = (1, 2, 3) if dataset == "beauty" else (1,)
    papers = [
        Experiment(
            PAPER,
            method,
            f"papers/{method}",
            seeds=several if method in ("iclrec", "elcrec") else (1,),
            published=PUBLISHED_METHODS[method],
        )
        for method in METHODS
    ]
    defaults = [Experiment(DEFAULT, method, method, seeds=several) for method in METHODS]
    return papers + defaults + (ablations() + sensitivity() + noise() if dataset == "beauty" else [])


def ablations() -> list[Experiment]:
    """ICLRec Table 2, S4Rec Table 3, ELCRec Fig. 4, DSSRec Table 2. The whole methods are among the paper runs."""
    no_csd = ("options.cluster_weight=0", "options.contrast_weight=0", "options.distillation_weight=0")
    no_gr, kmeans = "options.adversary_weight=0", "options.clustering=kmeans"
    plan: list[tuple[str, str, tuple[str, ...], str | None]] = [
        ("iclrec", "w/o FNM (B)", ("options.mitigate_false_negatives=false",), "ICLRec ablation w/o FNM (B)"),
        ("iclrec", "only ICL (C)", ("options.sequence_weight=0",), "ICLRec ablation only ICL (C)"),
        ("iclrec", "w/o ICL (D)", ("options.intent_weight=0",), "ICLRec ablation w/o ICL (D)"),
        (
            "iclrec",
            "only ICL w/o augmentation (E)",
            ("options.sequence_weight=0", "options.augmentations=[]"),
            "ICLRec ablation only ICL w/o augmentation (E)",
        ),
        ("s4rec", "w/o CSD", no_csd, "S4Rec w/o CSD"),
        ("s4rec", "w/o GR", (no_gr,), "S4Rec w/o GR"),
        ("s4rec", "SR+CSD (K-means)", (kmeans, no_gr), "SR+CSD (K-means)"),
        ("s4rec", "SR+CSD+GR (K-means)", (kmeans,), "SR+CSD+GR (K-means)"),
        ("elcrec", "B", ("options.contrast_weight=0", "options.cluster_weight=0"), None),
        ("elcrec", "B+CCL", ("options.cluster_weight=0",), None),
        ("elcrec", "B+ELCM", ("options.contrast_weight=0",), None),
        ("dssrec", "w/o seq2seq", ("options.seq2seq_weight=0",), None),
    ]
    return [
        Experiment(ABLATION, f"{method} {row}", f"papers/{method}", settings, published=published)
        for method, row, settings, published in plan
    ]


def sensitivity() -> list[Experiment]:
    """One option at a time away from the paper's choice."""
    values: dict[tuple[str, str], tuple[float, ...]] = {
        ("s4rec", "num_intents"): (32, 64, 256, 512),
        ("s4rec", "cluster_weight"): (0, 0.1, 1),
        ("s4rec", "contrast_weight"): (0, 0.01, 1),
        ("s4rec", "distillation_weight"): (0, 0.01, 1),
        ("s4rec", "adversary_weight"): (0, 0.01, 0.1),
        ("iclrec", "num_intents"): (64, 512, 1024),
        ("elcrec", "cluster_weight"): (0.1, 1, 100),
        ("elcrec", "num_intents"): (64, 512),
    }
    return [
        Experiment(SENSITIVITY, f"{method} {option} {value:g}", f"papers/{method}", (f"options.{option}={value:g}",))
        for (method, option), choices in values.items()
        for value in choices
    ]


def noise() -> list[Experiment]:
    """A share of the training items replaced by random ones (DSSRec Fig. 4)."""
    return [
        Experiment(NOISE, f"{method} {share:.0%} noise", f"papers/{method}", (f"training.noise={share:g}",))
        for share in (0.05, 0.1, 0.2, 0.3, 0.5)
        for method in ("sasrec", "iclrec", "s4rec", "dssrec")
    ]
