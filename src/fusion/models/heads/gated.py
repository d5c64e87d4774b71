"""Fusion by gates: every patient's branches are weighed against each other."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class GatedHead(nn.Module):
    """Weigh the branches that are present, then decide on their mixture.

    The gates are a softmax over the branches that are present, from one score a branch. They weigh both the
    embeddings, which an MLP decides on, and the branches' own opinions, which are added to its decision: the MLP starts
    from a gated late fusion and learns what that leaves.
    """

    def __init__(self, *, n_branches: int, n_labels: int, d_embedding: int, d_hidden: int, dropout: float) -> None:
        super().__init__()
        self.scores = nn.ModuleList(nn.Linear(d_embedding, 1) for _ in range(n_branches))
        self.decide = nn.Sequential(
            nn.Linear(d_embedding, d_hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(d_hidden, n_labels)
        )
        # Nothing to add at first: what a small cohort cannot teach the MLP, it had better not say.
        nn.init.zeros_(self.decide[-1].get_parameter("weight"))
        nn.init.zeros_(self.decide[-1].get_parameter("bias"))

    def forward(self, embeddings: Tensor, opinions: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
        """Fuse.

        Args:
            embeddings: (B, n_branches, d_embedding).
            opinions: (B, n_branches, n_labels) logits of each branch alone.
            present: (B, n_branches) bool, at least one true a row.

        Returns:
            (B, n_labels) logits and (B, n_branches) gates in [0, 1], summing to 1, 0 for an absent branch.
        """
        scores = torch.cat([score(embeddings[:, i]) for i, score in enumerate(self.scores)], dim=1)
        gates = scores.masked_fill(~present, float("-inf")).softmax(dim=1)
        mixture = (gates.unsqueeze(2) * embeddings).sum(dim=1)
        return self.decide(mixture) + (gates.unsqueeze(2) * opinions).sum(dim=1), gates
