import torch

from fusion.models.heads.concat import ConcatHead


def test_it_decides_on_all_embeddings_and_has_no_gates() -> None:
    torch.manual_seed(0)
    head = ConcatHead(n_branches=3, n_labels=2, d_embedding=4, d_hidden=5, dropout=0.0)
    embeddings = torch.randn(2, 3, 4, requires_grad=True)
    logits, gates = head(embeddings, torch.randn(2, 3, 2), torch.ones(2, 3, dtype=torch.bool))
    assert logits.shape == (2, 2)
    assert gates is None
    logits.sum().backward()
    assert embeddings.grad is not None
    assert (embeddings.grad.abs().sum(2) > 0).all()
