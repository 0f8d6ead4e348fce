"""The second stage: a multi-gate mixture of experts over users and candidates, with clusters of users at its gates.

MMoE (Ma et al., KDD 2018): every task mixes the same experts by a gate of its own. ELCRec (Liu et al., 2024), section 5
and A.3: the gates see the user alone ("B"); as they came out smooth and did not group users, the end-to-end learnable
cluster module helps them: each gate also sees how near the user is to K = 20 learnable centres ("B+ELCM").

The tasks are CTR, p(click | seen), and CVR, p(conversion | click), in ESMM's manner: conversions are learned as
p(click) p(conversion | click) over all that was shown (`models.losses.entire_space`), not from clicks alone.

Position bias: whether a place of a list is looked at is a factor of its own (`Examination`), known in training only.
The ranker is asked as if everything were seen, which is position 1 for every candidate.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.clustering import kmeans
from models.losses.learnable_cluster import learnable_cluster

FACTS = 3  # of a candidate: the first stage's score, the logarithm of its popularity, how well its intents match
TASKS = 2  # click, conversion of a click


@dataclass(frozen=True)
class RankerOptions:
    """The ranker's size. `clusters: 0` is the paper's B, more its B+ELCM.

    `cluster_weight` is the weight of the cluster loss (alpha of ELCRec's eq. 7), `temperature` that of the soft
    assignment to the centres, by cosine.
    """

    hidden: int = 32
    experts: int = 8
    expert_width: int = 16
    clusters: int = 20
    cluster_weight: float = 1.0
    temperature: float = 0.1
    dropout: float = 0.1

    def __post_init__(self) -> None:
        for name in ("hidden", "experts", "expert_width"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        if self.clusters < 0 or self.clusters == 1:
            raise ValueError(f"clusters must be 0 (none) or at least 2, got {self.clusters}")
        if self.temperature <= 0 or self.cluster_weight < 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "temperature must be above 0, cluster_weight 0 or more and dropout in [0, 1), got "
                f"{self.temperature}, {self.cluster_weight} and {self.dropout}"
            )


class Ranker(nn.Module):
    """B users, each with some candidates; the N candidates of all lie end to end, `owners` (N) says whose they are."""

    facts_mean: Tensor
    facts_scale: Tensor
    vector_scale: Tensor

    def __init__(self, context: int, intents: int, dimensions: int, options: RankerOptions) -> None:
        """`context`, `intents` and `dimensions` are the widths of what `forward` takes."""
        super().__init__()
        self.options = options
        hidden, mixed = options.hidden, options.experts * options.expert_width
        self.user = nn.Sequential(
            nn.Linear(context + intents + 1, hidden), nn.ReLU(), nn.Dropout(options.dropout), nn.Linear(hidden, hidden)
        )
        self.item = nn.Linear(dimensions, hidden)
        self.experts = nn.Linear(3 * hidden + FACTS, mixed)
        self.gates = nn.Linear(hidden + options.clusters, TASKS * options.experts)
        self.towers = nn.ModuleList(nn.Linear(options.expert_width, 1) for _ in range(TASKS))
        self.dropout = nn.Dropout(options.dropout)
        self.centres = nn.Parameter(torch.randn(options.clusters, hidden))
        self.register_buffer("facts_mean", torch.zeros(FACTS))
        self.register_buffer("facts_scale", torch.ones(FACTS))
        self.register_buffer("vector_scale", torch.ones(()))

    def forward(
        self, context: Tensor, intent_weights: Tensor, owners: Tensor, item_vectors: Tensor, facts: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(B, C), (B, K), (N), (N, D), (N, FACTS) -> logits of a click and of a conversion after it, (N) each.

        Intent weights of a user without a known history are zero; the first stage's score is not looked at then.
        """
        known = intent_weights.sum(dim=1)  # 1, or 0 without a history
        users = self.users(context, intent_weights)
        gates = self._gates(users)[owners]  # (N, TASKS, E)
        own, items = users[owners], F.relu(self.item(item_vectors / self.vector_scale))
        standard = (facts - self.facts_mean) / self.facts_scale
        score = standard[:, :1] * known[owners, None]
        inputs = torch.cat([own, items, own * items, score, standard[:, 1:]], dim=1)
        experts = self.dropout(F.relu(self.experts(inputs))).unflatten(1, (self.options.experts, -1))  # (N, E, W)
        mixtures = gates @ experts  # (N, TASKS, W)
        click, conversion = (tower(mixtures[:, task])[:, 0] for task, tower in enumerate(self.towers))
        return click, conversion

    def users(self, context: Tensor, intent_weights: Tensor) -> Tensor:
        """What the gates see and the clusters group: (B, C), (B, K) -> (B, H)."""
        known = intent_weights.sum(dim=1, keepdim=True)
        vectors: Tensor = self.user(torch.cat([context, intent_weights, known], dim=1))
        return vectors

    def cluster_shares(self, users: Tensor) -> Tensor:
        """Soft assignment of users (B, H) to the centres: (B, clusters), rows sum to 1."""
        cosines = F.normalize(users, dim=1) @ F.normalize(self.centres, dim=1).T
        return (cosines / self.options.temperature).softmax(dim=1)

    def cluster_loss(self, users: Tensor) -> Tensor:
        """ELCRec eq. 3 on unit vectors, weighted; it teaches the centres, as in `models.methods.elcrec`."""
        pulled = F.normalize(users.detach(), dim=1)
        return self.options.cluster_weight * learnable_cluster(pulled, F.normalize(self.centres, dim=1))

    def start(self, facts: Tensor, vector_scale: float, users: tuple[Tensor, Tensor]) -> None:
        """Before training: how facts (N, FACTS) and item vectors are scaled; the centres at the K-means of `users`."""
        self.facts_mean.copy_(facts.mean(dim=0))
        self.facts_scale.copy_(facts.std(dim=0).clamp(min=1e-6))
        self.vector_scale.fill_(vector_scale)
        if self.options.clusters:
            with torch.no_grad():
                self.centres.copy_(kmeans(self.users(*users), self.options.clusters))

    def _gates(self, users: Tensor) -> Tensor:
        """(B, H) -> (B, TASKS, E): the share of each expert in each task."""
        seen = torch.cat([users, self.cluster_shares(users)], dim=1) if self.options.clusters else users
        logits: Tensor = self.gates(seen).unflatten(1, (TASKS, self.options.experts))
        return logits.softmax(dim=2)


class Examination(nn.Module):
    """How likely each place of a list is looked at, relative to the first: at most as likely."""

    def __init__(self, clicks: Tensor) -> None:
        """Starts at the click rates of the places (P), which also fall because better items come first."""
        super().__init__()
        relative = (clicks[1:] / clicks[0].clamp(min=1e-9)).clamp(0.02, 0.98)
        self.logits = nn.Parameter(relative.logit())

    def log_seen(self, positions: Tensor) -> Tensor:
        """Places (N) counted from 0 -> (N); those beyond the last known count as it does."""
        return self.table()[positions.clamp(max=len(self.logits))]

    def table(self) -> Tensor:
        """All places (P)."""
        return torch.cat([self.logits.new_zeros(1), F.logsigmoid(self.logits)])
