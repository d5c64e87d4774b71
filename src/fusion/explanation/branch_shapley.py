"""How far each branch moved each prediction: exact Shapley values over the coalitions of the branches."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import softmax
from torch import Tensor, nn

from fusion.classical.model import ClassicalModel
from fusion.explanation.branch_table import PAIRS, BranchValues
from fusion.explanation.coalitions import Floats, coalitions, interaction, shapley_values
from fusion.explanation.network_inputs import embed_images
from fusion.models.branches import BRANCHES
from fusion.models.network import FusionNet, FusionOutput
from fusion.runs.model import BRANCH_OF
from fusion.training.fitted import FittedModel, require_a_branch
from fusion.training.inputs import Inputs

Bools = NDArray[np.bool_]


def explain_network_branches(model: FittedModel, inputs: Inputs) -> BranchValues:
    """Shapley values of the network's branches (Lundberg & Lee, NeurIPS 2017), exact: every coalition is asked for.

    A coalition's value is what the network says of the patient with these branches alone, the others being absent as
    they are for patients who lack them: that, the network was trained to do (``branch_dropout``; with 0, and nobody who
    lacks a branch, it was not), so nothing is made up that no patient could be. A patient with no branch at all it was
    never shown, and its gates would be undefined: the empty coalition is the share of the positive label among the
    training patients, which is all that is known then.
    A branch that the case lacks is no player. Each branch is embedded once; a coalition costs the fusion head alone.

    Args:
        model: In evaluation mode; it is explained on the CPU, and left there.
        inputs: N cases.

    Raises:
        FusionError: If a case has none of the network's branches.
    """
    require_a_branch(inputs, model.network.names)
    network = model.network.cpu()
    embeddings = _embed(model, inputs)
    fusion = _without_branches(network)

    def fuse(rows: NDArray[np.intp], used: Bools) -> FusionOutput:
        with torch.no_grad():
            image, radiomics, clinical = (embeddings[name][rows] for name in BRANCHES)
            return fusion.fuse(image, radiomics, clinical, torch.from_numpy(used))

    present = inputs.present & np.isin(BRANCHES, network.names)
    gates = fuse(np.arange(len(inputs)), present).gates
    return _explain(
        tuple(case.case_id for case in inputs.cases),
        present,
        # The loss weighs the labels by their shares of the training patients; the shift that undoes it keeps them.
        base=float(softmax(model.prior_shift)[-1]),
        output=lambda rows, used: model.probabilities(fuse(rows, used).logits)[:, -1],
        gates=_in_order(network.names, gates, present),
    )


def explain_classical_branches(model: ClassicalModel, case_ids: Sequence[str], joined: Floats) -> BranchValues:
    """As ``explain_network_branches``, of a classical model: its blocks, by the branch that they are made of.

    A coalition's value is what the model says of a patient who lacks the other blocks: for a weighted mean the mean of
    the remaining scores, for a classifier that of the training means in their place. It is exact for every classifier.

    Args:
        model: Fitted.
        case_ids: (N,)
        joined: (N, F) of ``model.join``; NaN where a case lacks a block.
    """
    branches = [BRANCH_OF[block] for block, entry in model.entries.items() for _ in entry.names]
    of_branch = np.array([[branch == name for name in branches] for branch in BRANCHES], dtype=np.bool_).T
    present = (~np.isnan(joined)).astype(np.int64) @ of_branch.astype(np.int64) > 0

    def output(rows: NDArray[np.intp], used: Bools) -> Floats:
        kept = used @ of_branch.T
        return model.output.probabilities(model.final_rows(np.where(kept, joined[rows], np.nan)))

    nothing = np.full(present.shape, np.nan)
    return _explain(tuple(case_ids), present, base=model.final.prevalence, output=output, gates=nothing)


def _explain(
    case_ids: tuple[str, ...],
    present: Bools,
    *,
    base: float,
    output: Callable[[NDArray[np.intp], Bools], Floats],
    gates: Floats,
) -> BranchValues:
    outputs = _play(output, present, base)
    places = [(BRANCHES.index(first), BRANCHES.index(second)) for first, second in PAIRS]
    # A branch that is not there adds nothing to any coalition, so the others' values are those of the game without it.
    values = np.where(present, shapley_values(outputs), np.nan)
    interactions = [
        np.where(present[:, first] & present[:, second], interaction(outputs, first, second), np.nan)
        for first, second in places
    ]
    return BranchValues(
        case_ids=case_ids,
        probabilities=outputs[:, -1],
        base=base,
        values=values,
        interactions=np.stack(interactions, axis=1),
        gates=gates,
    )


def _play(output: Callable[[NDArray[np.intp], Bools], Floats], present: Bools, base: float) -> Floats:
    """(N, 8) what each coalition of branches says of each case."""
    members = coalitions(len(BRANCHES))
    outputs = np.full((len(present), len(members)), base)
    for code, coalition in enumerate(members):
        used = present & coalition
        rows = np.flatnonzero(used.any(axis=1))
        if len(rows):
            outputs[rows, code] = output(rows, used[rows])
    return outputs


def _embed(model: FittedModel, inputs: Inputs) -> dict[str, Tensor]:
    """(N, d_embedding) of each branch that the network has, of those that it has not (N, 0)."""
    tables = {"radiomics": inputs.radiomics, "clinical": inputs.clinical}
    embeddings = {name: torch.zeros(len(inputs), 0) for name in BRANCHES}
    with torch.no_grad():
        for name in model.network.names:
            if name == "image":
                embeddings[name] = torch.from_numpy(embed_images(model, inputs)).float()
            else:
                embeddings[name] = model.network.branches[name](torch.from_numpy(tables[name]))
    return embeddings


def _without_branches(network: FusionNet) -> FusionNet:
    """A copy that takes the branches' embeddings in the places of their inputs."""
    replaced: dict[int, nn.Module] = {id(branch): nn.Identity() for branch in network.branches.values()}
    return copy.deepcopy(network, replaced)


def _in_order(names: Sequence[str], gates: Tensor | None, present: Bools) -> Floats:
    """(N, 3) gates in the order of ``BRANCHES``."""
    ordered = np.full(present.shape, np.nan)
    if gates is not None:
        ordered[:, [BRANCHES.index(name) for name in names]] = gates.double().numpy()
    return np.where(present, ordered, np.nan)
