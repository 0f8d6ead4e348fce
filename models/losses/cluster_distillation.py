"""Cluster-aware self-distillation: a view learns to look like the prototype of its sequence's intent."""

import torch.nn.functional as F
from torch import Tensor


def cluster_distillation(views: Tensor, prototypes: Tensor, intents: Tensor, *, temperature: float = 1.0) -> Tensor:
    """Views (B, D), prototypes (K, D), intents (B) -> scalar: mean KL(teacher || student) (S4Rec eqs. 11-12).

    Teacher and student are distributions over the D dimensions: softmax(mu / temperature), softmax(z / temperature).
    The teacher gets no gradient (our choice): a prototype is taught by the clustering alone.
    """
    teacher = (prototypes.detach()[intents] / temperature).log_softmax(dim=1)
    student = (views / temperature).log_softmax(dim=1)
    return F.kl_div(student, teacher, reduction="batchmean", log_target=True)
