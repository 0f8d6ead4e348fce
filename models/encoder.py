"""The sequence encoder: SASRec's causal transformer on packed histories.

Kang & McAuley, Self-Attentive Sequential Recommendation (ICDM 2018), in the post-LayerNorm form that ICLRec and
ELCRec use. Positions are counted from the newest item backwards, and no padding enters the computation.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.dropout import Dropout
from models.packing import Packing, pack_index

STEP = 256  # training rounds the number of positions up to a multiple: kernels are prepared once for each shape


@dataclass(frozen=True)
class EncoderOptions:
    """The encoder's size and regularisation. Attention is dropped only when asked, because that is slow.

    `fixed_item_length`: items differ by direction alone, as what is searched they are all sqrt D long. An item of few
    interactions is not ranked low for being short then, which counts where rare items compete with popular ones.
    """

    hidden: int = 64
    layers: int = 2
    heads: int = 2
    max_length: int = 50
    dropout: float = 0.5
    attention_dropout: float = 0.0
    fixed_item_length: bool = False

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"hidden must be a multiple of heads, got hidden {self.hidden} and heads {self.heads}")
        for name in ("hidden", "layers", "heads", "max_length"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, got {getattr(self, name)}")
        for name in ("dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name} must be in [0, 1), got {getattr(self, name)}")


class Block(nn.Module):
    """Self-attention and a 4x GELU feed-forward, each followed by dropout, residual and LayerNorm."""

    def __init__(self, options: EncoderOptions) -> None:
        super().__init__()
        width = options.hidden
        self.heads = options.heads
        self.attention_dropout = options.attention_dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.project = nn.Linear(width, width)
        self.attention_norm = nn.LayerNorm(width, eps=1e-12)
        self.expand = nn.Linear(width, 4 * width)
        self.contract = nn.Linear(4 * width, width)
        self.feed_forward_norm = nn.LayerNorm(width, eps=1e-12)
        self.dropout = Dropout(options.dropout)

    def forward(self, vectors: Tensor, packing: Packing) -> Tensor:
        """(T + 1, D) -> (T + 1, D)."""
        vectors = self.attention_norm(vectors + self.dropout(self.project(self._attend(vectors, packing))))
        feed_forward = self.contract(F.gelu(self.expand(vectors)))
        output: Tensor = self.feed_forward_norm(vectors + self.dropout(feed_forward))
        return output

    def _attend(self, vectors: Tensor, packing: Packing) -> Tensor:
        """Causal attention inside each sequence; what lies behind a sequence in the square is never looked at."""
        batch, width = packing.square.shape
        qkv = self.qkv(vectors)[packing.square].float().reshape(batch, width, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # (B, heads, W, D / heads)
        dropout = self.attention_dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, is_causal=True)
        return attended.transpose(1, 2).reshape(batch * width, -1)[packing.slots.clamp(max=batch * width - 1)]


class SequenceEncoder(nn.Module):
    """Item rows -> position vectors. Row 0 is padding and row V + 1 the mask of the mask augmentation."""

    def __init__(self, items: int, options: EncoderOptions) -> None:
        super().__init__()
        self.items = items
        self.max_length = options.max_length
        self.item_length = math.sqrt(options.hidden) if options.fixed_item_length else None
        self.item_embedding = nn.Embedding(items + 2, options.hidden, padding_idx=0)
        self.position_embedding = nn.Embedding(options.max_length, options.hidden)
        self.norm = nn.LayerNorm(options.hidden, eps=1e-12)
        self.dropout = Dropout(options.dropout)
        self.blocks = nn.ModuleList(Block(options) for _ in range(options.layers))
        self.apply(_initialise)

    @property
    def mask_row(self) -> int:
        """The row that stands for a masked item."""
        return self.items + 1

    def item_weights(self) -> Tensor:
        """The parameters behind `item_vectors`: (V, D), item row r at r - 1."""
        return self.item_embedding.weight[1 : self.items + 1]

    def item_vectors(self, rows: Tensor | None = None) -> Tensor:
        """What query vectors are compared with: (V, D), item row r at r - 1; or that of each of `rows` (N): (N, D)."""
        weights: Tensor = self.item_weights() if rows is None else self.item_embedding(rows)
        return weights if self.item_length is None else F.normalize(weights, dim=1) * self.item_length

    def forward(self, rows: Tensor, lengths: Tensor) -> tuple[Tensor, Packing]:
        """Packed rows (T), each history at most `max_length` long, and lengths (B) -> position vectors (T + 1, D).

        The spare vector at the end belongs to no sequence. Drop it with [:-1].
        """
        packing = pack_index(rows, lengths)
        positions = packing.slots.shape[0]
        extra = -positions % STEP if self.training else 0
        with_spare = torch.cat([rows, rows.new_zeros(1 + extra)])
        recency = F.pad(packing.recency.clamp(max=self.max_length - 1), (0, extra))
        vectors = self.dropout(self.norm(self.item_embedding(with_spare) + self.position_embedding(recency)))
        padded = packing._replace(slots=F.pad(packing.slots, (0, extra)))
        for block in self.blocks:
            vectors = block(vectors, padded)
        return vectors[:positions], packing


def last_vectors(vectors: Tensor, packing: Packing) -> Tensor:
    """The newest position's vector of each sequence: (T + 1, D) -> (B, D); zero where empty."""
    return vectors[packing.last] * packing.filled


def mean_vectors(vectors: Tensor, packing: Packing) -> Tensor:
    """The mean over the real positions of each sequence: (T + 1, D) -> (B, D); zero where empty."""
    columns = torch.arange(packing.square.shape[1], device=vectors.device)
    inside = columns[None, :] < packing.lengths[:, None]  # (B, W)
    sums = (vectors[packing.square] * inside[:, :, None]).sum(1)
    return sums / packing.lengths.clamp(min=1)[:, None]


def _initialise(module: nn.Module) -> None:
    """N(0, .02) for every weight, zero for biases and padding (SASRec's public successors)."""
    if isinstance(module, nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, std=0.02)
    if isinstance(module, nn.Linear):
        nn.init.zeros_(module.bias)
    if isinstance(module, nn.Embedding) and module.padding_idx is not None:
        with torch.no_grad():
            module.weight[module.padding_idx].zero_()
