"""Fusion heads by name: one module each, called as ``(embeddings, opinions, present) → (logits, gates or None)``."""

from __future__ import annotations

from torch import nn

from fusion.models.heads.concat import ConcatHead
from fusion.models.heads.gated import GatedHead

HEADS: dict[str, type[nn.Module]] = {"gated": GatedHead, "concat": ConcatHead}
