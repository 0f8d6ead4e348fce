"""What `reproduce.py` runs on each dataset, and how the papers name it."""

from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from training.config import TrainingConfig

FILES = {
    "beauty": "Beauty.txt",
    "sports": "Sports_and_Outdoors.txt",
    "toys": "Toys_and_Games.txt",
    "yelp": "Yelp.txt",
    "ml-1m": "ml-1m.txt",
    "beauty-54k": "Beauty-54k.pairs.txt",
}
PUBLISHED_NAMES = dict(zip(FILES, ("Beauty", "Sports", "Toys", "Yelp", "ML-1M", "Beauty-54k"), strict=True))
PUBLISHED_METHODS = {
    "iclrec": "ICLRec",
    "elcrec": "ELCRec",
    "s4rec": "S4Rec",
    "cl4srec": "CL4SRec",
    "dssrec": "DSSRec",
    "sasrec": "SASRec",
}
METHODS = tuple(PUBLISHED_METHODS)
PAPER, DEFAULT, ABLATION = "papers", "default configurations", "ablations"
SENSITIVITY, NOISE = "sensitivity", "noise"
NO_SEQ2SEQ = "options.seq2seq_weight=0"
SHARES = (0, 0.05, 0.1, 0.2, 0.3, 0.5)  # of the training items replaced
VARIED: dict[tuple[str, str], tuple[float, ...]] = {
    ("s4rec", "num_intents"): (32, 64, 128, 256, 512),
    ("iclrec", "num_intents"): (64, 256, 512, 1024),
    ("elcrec", "num_intents"): (64, 256, 512),
    ("dssrec", "num_intents"): (1, 2, 4, 8),
    ("s4rec", "cluster_weight"): (0, 0.01, 0.1, 1),
    ("s4rec", "contrast_weight"): (0, 0.01, 0.1, 1),
    ("s4rec", "distillation_weight"): (0, 0.01, 0.1, 1),
    ("s4rec", "adversary_weight"): (0, 0.01, 0.1, 1),
    ("iclrec", "intent_weight"): (0, 0.01, 0.1, 0.5),
    ("iclrec", "sequence_weight"): (0, 0.01, 0.1, 0.5),
    ("elcrec", "cluster_weight"): (0, 0.1, 1, 10, 100),
    ("elcrec", "contrast_weight"): (0, 0.01, 0.1, 0.5),
    ("dssrec", "seq2seq_weight"): (0, 0.02, 0.1, 1),
    ("dssrec", "kept_share"): (0.1, 0.25, 0.5, 0.75, 1),
}


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
    against: str | None = None  # the experiment whose bundle of the same seed it is compared with, by name
    varied: tuple[str, str, float] | None = None  # method, option and its value, for the figures

    @property
    def name(self) -> str:
        """Fit for a directory, the same for experiments that share a run."""
        words = (setting.replace("=[]", "-none").replace("=", "-") for setting in self.settings)
        return "+".join([self.configuration.replace("/", "-"), *words])

    def config(self, dataset: str) -> TrainingConfig:
        """The configuration as it is today."""
        return TrainingConfig.load(self.configuration, dataset=dataset, settings=self.settings)

    def matches(self, line: dict[str, Any], seed: int | None = None) -> bool:
        """Whether a result line is of this experiment (and seed)."""
        settings = line.get("settings", ())
        same = line.get("configuration") == self.configuration and sorted(settings) == sorted(self.settings)
        return same and (seed is None or line.get("seed") == seed)


@cache
def experiments(dataset: str) -> tuple[Experiment, ...]:
    """All experiments on a dataset, table by table; some appear in two tables and are run once."""
    if dataset == "beauty-54k":
        whole = Experiment(PAPER, "dssrec", "papers/dssrec", published="DSSRec", sampled=True)
        rows: dict[str, tuple[str, ...]] = {"DSSRec": (), "DSSRec w/o seq2seq": (NO_SEQ2SEQ,)}
        parts = ablation("dssrec", rows, {row: row for row in rows})
        return (whole, *(replace(part, sampled=True) for part in parts))
    several = (1, 2, 3) if dataset == "beauty" else (1,)
    papers = [
        Experiment(
            PAPER,
            method,
            f"papers/{method}",
            seeds=several if method in ("iclrec", "elcrec") else (1,),
            published=published,
        )
        for method, published in PUBLISHED_METHODS.items()
    ]
    defaults = [Experiment(DEFAULT, "sasrec", "sasrec", seeds=several)]
    defaults += [replace(defaults[0], row=name, configuration=name, against="sasrec") for name in METHODS[:-1]]
    if dataset == "beauty":
        defaults += default_parts()
    ablations = iclrec_ablations() + elcrec_ablations() if dataset in ("beauty", "sports", "toys", "yelp") else []
    if dataset == "beauty":
        ablations += s4rec_ablations() + dssrec_ablations() + sensitivity(dataset) + noise()
    return (*papers, *defaults, *ablations)


def ablation(method: str, rows: dict[str, tuple[str, ...]], published: dict[str, str]) -> list[Experiment]:
    """The whole method, which has no settings, and its parts, each compared with the whole."""
    whole = Experiment(ABLATION, "", f"papers/{method}")
    return [
        replace(
            whole,
            row=f"{method}: {row}",
            settings=settings,
            published=published.get(row),
            against=whole.name if settings else None,
        )
        for row, settings in rows.items()
    ]


def default_parts() -> list[Experiment]:
    """What each part of a default configuration is worth: one left out at a time."""
    parts = {
        "contrasts": ("options.intent_weight=0", "options.sequence_weight=0"),
        "contrast of shared next items": ("shared_next_item_weight=0",),
        "start at co-occurrence": ("training.item_start=random",),
    }
    return [
        Experiment(DEFAULT, f"iclrec w/o {part}", "iclrec", settings, against="iclrec")
        for part, settings in parts.items()
    ]


def iclrec_ablations() -> list[Experiment]:
    """ICLRec Table 2."""
    only_icl = "options.sequence_weight=0"
    rows: dict[str, tuple[str, ...]] = {
        "ICLRec (A)": (),
        "w/o FNM (B)": ("options.mitigate_false_negatives=false",),
        "only ICL (C)": (only_icl,),
        "w/o ICL (D)": ("options.intent_weight=0",),
        "only ICL w/o augmentation (E)": (only_icl, "options.augmentations=[]"),
    }
    plan = ablation("iclrec", rows, {row: f"ICLRec ablation {row}" for row in rows})
    return [*plan, Experiment(ABLATION, "iclrec: SASRec (F)", "papers/sasrec", published="SASRec")]


def s4rec_ablations() -> list[Experiment]:
    """S4Rec Table 3."""
    no_csd = tuple(f"options.{name}_weight=0" for name in ("cluster", "contrast", "distillation"))
    no_gr, kmeans = "options.adversary_weight=0", "options.clustering=kmeans"
    rows: dict[str, tuple[str, ...]] = {
        "S4Rec": (),
        "S4Rec w/o CSD": no_csd,
        "S4Rec w/o GR": (no_gr,),
        "SR+CSD (K-means)": (kmeans, no_gr),
        "SR+CSD+GR (K-means)": (kmeans,),
    }
    plan = ablation("s4rec", rows, {row: row for row in rows})
    return [*plan, Experiment(ABLATION, "s4rec: SR only", "papers/sasrec", published="SASRec")]


def elcrec_ablations() -> list[Experiment]:
    """ELCRec Fig. 4, which prints no numbers."""
    no_contrast, no_clusters = "options.contrast_weight=0", "options.cluster_weight=0"
    rows: dict[str, tuple[str, ...]] = {
        "ELCRec": (),
        "B+CCL": (no_clusters,),
        "B+ELCM": (no_contrast,),
        "B": (no_contrast, no_clusters),
    }
    return ablation("elcrec", rows, {})


def dssrec_ablations() -> list[Experiment]:
    """DSSRec Table 2, on another dataset than the paper's."""
    return ablation("dssrec", {"DSSRec": (), "w/o seq2seq": (NO_SEQ2SEQ,)}, {})


def sensitivity(dataset: str) -> list[Experiment]:
    """One option at a time; the paper's own choice is the run of the paper's table."""
    plan = []
    for (method, option), values in VARIED.items():
        own = TrainingConfig.load(f"papers/{method}", dataset=dataset).complete()["options"][option]
        for value in values:
            settings = () if value == own else (f"options.{option}={value:g}",)
            row, varied = f"{method}: {option} {value:g}", (method, option, value)
            published = f"S4Rec K={value}" if (method, option) == ("s4rec", "num_intents") else None
            plan.append(Experiment(SENSITIVITY, row, f"papers/{method}", settings, published=published, varied=varied))
    return plan


def noise() -> list[Experiment]:
    """A share of the training items replaced by random ones (DSSRec Fig. 4, with and without seq2seq)."""
    methods: dict[str, tuple[str, ...]] = dict.fromkeys(("sasrec", "iclrec", "s4rec", "dssrec"), ())
    methods["dssrec w/o seq2seq"] = (NO_SEQ2SEQ,)
    plan = []
    for name, settings in methods.items():
        for share in SHARES:
            noisy = (*settings, f"training.noise={share:g}") if share else settings
            row, varied = f"{name}: {share:.0%} noise", (name, "noise", share)
            plan.append(Experiment(NOISE, row, f"papers/{name.split()[0]}", noisy, varied=varied))
    return plan
