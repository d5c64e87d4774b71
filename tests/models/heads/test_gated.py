import torch

from fusion.models.heads.gated import GatedHead

PRESENT = torch.tensor([[True, True, True], [True, False, True], [False, False, True]])


def make_head() -> GatedHead:
    torch.manual_seed(0)
    return GatedHead(n_branches=3, n_labels=2, d_embedding=4, d_hidden=5, dropout=0.0)


def test_gates_sum_to_one_over_the_branches_present_and_are_zero_elsewhere() -> None:
    logits, gates = make_head()(torch.randn(3, 3, 4), torch.randn(3, 3, 2), PRESENT)
    assert logits.shape == (3, 2)
    torch.testing.assert_close(gates.sum(1), torch.ones(3))
    assert (gates[~PRESENT] == 0).all()
    assert (gates[PRESENT] > 0).all()
    assert gates[2, 2] == 1


def test_what_stands_in_an_absent_branch_does_not_matter() -> None:
    head, embeddings, opinions = make_head(), torch.randn(3, 3, 4), torch.randn(3, 3, 2)
    before, _ = head(embeddings, opinions, PRESENT)
    embeddings[~PRESENT] = 1e3
    opinions[~PRESENT] = -1e3
    after, _ = head(embeddings, opinions, PRESENT)
    assert torch.equal(before, after)


def test_a_lone_branch_decides_by_its_opinion_and_its_embedding() -> None:
    head, embeddings, opinions = make_head(), torch.randn(3, 3, 4), torch.randn(3, 3, 2)
    logits, _ = head(embeddings, opinions, PRESENT)
    torch.testing.assert_close(logits[2], head.decide(embeddings[2, 2]) + opinions[2, 2])


def test_a_higher_score_is_a_larger_gate() -> None:
    head = make_head()
    with torch.no_grad():
        head.scores[1].get_parameter("bias").add_(3)
    _, gates = head(torch.zeros(1, 3, 4), torch.zeros(1, 3, 2), torch.ones(1, 3, dtype=torch.bool))
    assert gates[0, 1] > 0.5
