"""The three branches. Each gives an embedding of one width and, from it, an opinion (logits) of its own."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from fusion.models.backbones import Backbone

BRANCHES = ("image", "radiomics", "clinical")


class ImageBranch(nn.Module):
    """(B, C, H, W) in [0, 1] → (B, d_embedding)."""

    def __init__(self, *, backbone: Backbone, d_embedding: int, dropout: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.project = nn.Sequential(nn.Dropout(dropout), nn.Linear(backbone.d_out, d_embedding), nn.GELU())

    def forward(self, image: Tensor) -> Tensor:
        """Embed images."""
        embedding: Tensor = self.project(self.backbone(image))
        return embedding


class RadiomicsBranch(nn.Module):
    """(B, F) standardized → (B, d_embedding), through a gate per feature.

    The columns of the mixing matrix have unit length, so a feature's weight is its gate alone and an L1 penalty on the
    gates is a group lasso on the columns (Yuan & Lin, J R Stat Soc B 68:49, 2006): it cannot be evaded by scaling.
    """

    def __init__(self, *, n_features: int, d_embedding: int, dropout: float) -> None:
        super().__init__()
        # Open until the fit says where they start.
        self.gates = nn.Parameter(torch.ones(n_features))
        self.directions = nn.Parameter(torch.randn(d_embedding, n_features))
        self.bias = nn.Parameter(torch.zeros(d_embedding))
        self.activate = nn.Sequential(nn.GELU(), nn.Dropout(dropout))

    def forward(self, radiomics: Tensor) -> Tensor:
        """Embed feature vectors."""
        columns = nn.functional.normalize(self.directions, dim=0)
        embedding: Tensor = self.activate(nn.functional.linear(radiomics * self.gates, columns, self.bias))
        return embedding


class ClinicalBranch(nn.Module):
    """(B, D) encoded → (B, d_embedding). Categories and sets are embedded, numbers enter as they are."""

    def __init__(
        self, *, groups: Sequence[tuple[str, str, int]], d_category: int, d_embedding: int, dropout: float
    ) -> None:
        super().__init__()
        self.widths = [width for _, _, width in groups]
        self.columns = nn.ModuleList(
            nn.Linear(width, d_category, bias=False) if kind in ("category", "set") else nn.Identity()
            for _, kind, width in groups
        )
        d_in = sum(d_category if kind in ("category", "set") else width for _, kind, width in groups)
        self.mix = nn.Sequential(nn.Dropout(dropout), nn.Linear(d_in, d_embedding), nn.GELU(), nn.Dropout(dropout))

    def forward(self, clinical: Tensor) -> Tensor:
        """Embed encoded rows."""
        parts = clinical.split(self.widths, dim=1)
        embedded = [column(part) for column, part in zip(self.columns, parts, strict=True)]
        embedding: Tensor = self.mix(torch.cat(embedded, dim=1))
        return embedding
