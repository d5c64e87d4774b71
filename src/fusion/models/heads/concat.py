"""Fusion by concatenation: the common baseline."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ConcatHead(nn.Module):
    """An MLP on the embeddings side by side; an absent branch is its learned stand-in. It has no gates."""

    def __init__(self, *, n_branches: int, n_labels: int, d_embedding: int, d_hidden: int, dropout: float) -> None:
        super().__init__()
        self.decide = nn.Sequential(
            nn.Linear(n_branches * d_embedding, d_hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(d_hidden, n_labels)
        )

    def forward(self, embeddings: Tensor, opinions: Tensor, present: Tensor) -> tuple[Tensor, None]:  # noqa: ARG002 -- as every head
        """Fuse: (B, n_branches, d_embedding) → (B, n_labels) logits; ``opinions`` and ``present`` are not used."""
        logits: Tensor = self.decide(torch.flatten(embeddings, start_dim=1))
        return logits, None
