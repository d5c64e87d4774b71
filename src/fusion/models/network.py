"""The end-to-end network: three branches, any of which may be missing for a patient, and a fusion head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from fusion.errors import FusionError
from fusion.models.backbones import build_backbone
from fusion.models.branches import BRANCHES, ClinicalBranch, ImageBranch, RadiomicsBranch
from fusion.models.heads import HEADS
from fusion.models.share import at_hand, draw_rows, sharing_first, sharing_only


class FusionOutput(NamedTuple):
    """What a forward pass knows.

    Attributes:
        logits: (B, K) fused.
        opinions: (B, n_branches, K) logits of each branch alone; meaningless where it is absent.
        gates: (B, n_branches) in [0, 1], summing to 1 over the branches present; None for a head without gates.
    """

    logits: Tensor
    opinions: Tensor
    gates: Tensor | None


class FusionNet(nn.Module):
    """Image, radiomics and clinical branch, fused.

    Attributes:
        names: The branches that the network has, in the order of ``BRANCHES``.
    """

    def __init__(
        self,
        *,
        branches: Mapping[str, nn.Module],
        head: nn.Module,
        d_embedding: int,
        n_labels: int,
        branch_dropout: float,
    ) -> None:
        super().__init__()
        self.names = tuple(name for name in BRANCHES if name in branches)
        self.branches = nn.ModuleDict({name: branches[name] for name in self.names})
        self.opinions = nn.ModuleDict({name: nn.Linear(d_embedding, n_labels) for name in self.names})
        self.stand_ins = nn.ParameterDict({name: nn.Parameter(torch.zeros(d_embedding)) for name in self.names})
        self.head = head
        self.branch_dropout = branch_dropout

    def forward(self, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor | None = None) -> Tensor:
        """Logits (B, K) of (B, C, H, W) images in [0, 1], (B, F) radiomics and (B, D) clinical inputs.

        Args:
            image, radiomics, clinical: Inputs; the rows of an absent branch are not looked at.
            present: (B, 3) bool in the order of ``BRANCHES``, at least one true a row; None means that all are. Where
                the rows are a share of a batch, see ``sharing``, it is of the whole one, and has to be given.
        """
        return self.fuse(image, radiomics, clinical, present).logits

    def fuse(self, image: Tensor, radiomics: Tensor, clinical: Tensor, present: Tensor | None = None) -> FusionOutput:
        """As ``forward``, with the branches' opinions and the gates."""
        inputs = {"image": image, "radiomics": radiomics, "clinical": clinical}
        if present is None:
            present = torch.ones(len(image), len(BRANCHES), dtype=torch.bool, device=image.device)
        whole = present[:, [BRANCHES.index(name) for name in self.names]]
        known = at_hand(whole)
        embeddings = torch.stack(
            [self._embed(name, inputs[name], whole[:, i]) for i, name in enumerate(self.names)], dim=1
        )
        opinions = torch.stack([self.opinions[name](embeddings[:, i]) for i, name in enumerate(self.names)], dim=1)
        used = _drop_branches(known, self.branch_dropout) if self.training else known
        stand_ins = torch.stack([self.stand_ins[name] for name in self.names]).to(embeddings.dtype)
        embeddings = torch.where(used.unsqueeze(2), embeddings, stand_ins)
        logits, gates = self.head(embeddings, opinions, used)
        return FusionOutput(logits, opinions, gates)

    def _embed(self, name: str, rows: Tensor, whole: Tensor) -> Tensor:
        # What is done is decided by the whole batch: every device that has a share of it has to do the same.
        if whole.all():
            return self._run(name, rows)
        # Absent rows must not reach a batch norm's statistics.
        stand_in: Tensor = self.stand_ins[name].expand(len(rows), -1)
        if not whole.any():
            return stand_in
        known = at_hand(whole)
        with sharing_only(whole):
            embedded = self._run(name, rows[known])
        return stand_in.to(embedded.dtype).index_put((known.nonzero().squeeze(1),), embedded)

    def _run(self, name: str, rows: Tensor) -> Tensor:
        branch = self.branches[name]
        if len(rows) or any(isinstance(layer, _BatchNorm) for layer in branch.modules()):
            embedding: Tensor = branch(rows)
            return embedding
        # A device without a row takes part all the same. Attention cannot do so with nothing; a batch norm can, and
        # would count a row that stands in.
        with sharing_first():
            nothing: Tensor = branch(rows.new_zeros(1, *rows.shape[1:]))[:0]
        return nothing


def _drop_branches(known: Tensor, probability: float) -> Tensor:
    """Drop branches at random, but never a patient's last one."""
    drawn = draw_rows(lambda n_rows: torch.rand(n_rows, known.shape[1], device=known.device), len(known))
    kept = known & (drawn >= probability)
    return torch.where(kept.any(dim=1, keepdim=True), kept, known)


def build_network(
    *,
    model: Mapping[str, Any],
    backbone: Mapping[str, Any],
    head: Mapping[str, Any],
    n_channels: int,
    n_px: int,
    n_features: int,
    clinical_groups: Sequence[tuple[str, str, int]],
    n_labels: int,
    pretrained: bool,
) -> FusionNet:
    """Build the network of ``conf/model``, ``conf/backbone`` and ``conf/head``.

    A branch that the model asks for is left out where the cohort has no input for it at all.

    Args:
        model, backbone, head: The configuration groups.
        n_channels, n_px: Of the image input.
        n_features: Of the radiomics input; 0 leaves the branch out.
        clinical_groups: Name, kind and width of each encoded clinical column; empty leaves the branch out.
        n_labels: K.
        pretrained: Whether the backbone loads its weights, see ``build_backbone``.

    Raises:
        FusionError: For a branch that there is not, or a backbone that cannot be built.
    """
    unknown = [name for name in model["branches"] if name not in BRANCHES]
    if unknown or not model["branches"]:
        raise FusionError(f"model.branches: required some of {', '.join(BRANCHES)}, came {list(model['branches'])}")
    d_embedding, dropout = model["d_embedding"], model["dropout"]
    branches: dict[str, nn.Module] = {}
    if "image" in model["branches"]:
        trunk = build_backbone(backbone=backbone, n_channels=n_channels, n_px=n_px, pretrained=pretrained)
        branches["image"] = ImageBranch(backbone=trunk, d_embedding=d_embedding, dropout=dropout)
    if "radiomics" in model["branches"] and n_features:
        branches["radiomics"] = RadiomicsBranch(n_features=n_features, d_embedding=d_embedding, dropout=dropout)
    if "clinical" in model["branches"] and clinical_groups:
        branches["clinical"] = ClinicalBranch(
            groups=clinical_groups, d_category=model["d_category"], d_embedding=d_embedding, dropout=dropout
        )
    fusion_head = HEADS[head["name"]](
        n_branches=len(branches),
        n_labels=n_labels,
        d_embedding=d_embedding,
        d_hidden=head["d_hidden"],
        dropout=head["dropout"],
    )
    return FusionNet(
        branches=branches,
        head=fusion_head,
        d_embedding=d_embedding,
        n_labels=n_labels,
        branch_dropout=model["branch_dropout"],
    )
