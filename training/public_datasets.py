"""Public datasets: where they are, what proves them whole, and under which conditions they may be used."""

from dataclasses import dataclass
from typing import Literal

Algorithm = Literal["md5", "sha256"]
GROUPLENS = "https://files.grouplens.org/datasets/movielens/"
AMAZON = "https://snap.stanford.edu/data/amazon/productGraph/categoryFiles/"
MOVIELENS_TERMS = (
    "MovieLens is GroupLens' (University of Minnesota): for research; not to be redistributed, nor used commercially "
    "without their permission; publications cite Harper & Konstan, The MovieLens Datasets, TiiS 5(4), 2015. "
    "The README beside the data has the whole text."
)
AMAZON_TERMS = (
    "Amazon reviews are published by J. McAuley (UC San Diego) for research, without a licence text; publications cite "
    "McAuley, Targett, Shi & van den Hengel, SIGIR 2015, and He & McAuley, WWW 2016. Do not redistribute them."
)


@dataclass(frozen=True)
class PublicDataset:
    """One file. `checksum` is what its publisher prints, "algorithm:digits"; None where nothing is printed.

    `members` of an archive are unpacked, by exactly these names, into the directory of the first part of the name.
    """

    address: str
    terms: str
    checksum: str | None = None
    members: tuple[str, ...] = ()

    @property
    def file_name(self) -> str:
        """The last part of the address."""
        return self.address.rpartition("/")[2]


def _movielens(name: str, md5: str, *members: str) -> PublicDataset:
    inside = tuple(f"{name}/{member}" for member in members)
    return PublicDataset(f"{GROUPLENS}{name}.zip", MOVIELENS_TERMS, f"md5:{md5}", inside)


def _amazon(category: str) -> PublicDataset:
    return PublicDataset(f"{AMAZON}reviews_{category}_5.json.gz", AMAZON_TERMS)


PUBLIC_DATASETS = {
    "ml-1m": _movielens("ml-1m", "c4d9eecfca2ab87c1945afe126590906", "ratings.dat", "movies.dat", "README"),
    "ml-20m": _movielens("ml-20m", "cd245b17a1ae2cc31bb14903e1204af3", "ratings.csv", "movies.csv", "README.txt"),
    "amazon-beauty": _amazon("Beauty"),
    "amazon-sports": _amazon("Sports_and_Outdoors"),
    "amazon-toys": _amazon("Toys_and_Games"),
    "amazon-video-games": _amazon("Video_Games"),
    "amazon-clothing": _amazon("Clothing_Shoes_and_Jewelry"),
}
