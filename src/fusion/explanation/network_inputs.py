"""SHAP values of the network's radiomics and clinical inputs, given the patient's image."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fusion.errors import FusionError
from fusion.explanation.coalitions import Floats
from fusion.explanation.given_values import Given, beside, read_columns, read_features
from fusion.explanation.shap_values import ShapTable, explain_inputs, spread_rows
from fusion.imaging.store import Crops
from fusion.models.branches import BRANCHES
from fusion.records import Case, FeatureTable
from fusion.training.fitted import FittedModel
from fusion.training.inputs import Inputs, make_loader

# Bounds memory; no result depends on it.
_EMBEDDING_BATCH = 64


def explain_network_inputs(
    model: FittedModel,
    cases: Sequence[Case],
    *,
    probabilities: Floats,
    crops: Crops,
    features: FeatureTable,
    settings: Mapping[str, Any],
) -> ShapTable | None:
    """SHAP values of what the network listens to in the tables, in calibrated probability of the positive label.

    A case's image is embedded once and stays what it is; of the other inputs, those that are left out take the values
    of training rows (see ``explain_inputs``). An input is a radiomics feature whose gate is not 0, or a clinical
    column, however many numbers encode it.

    Args:
        model: In evaluation mode; it is explained on the CPU, and left there.
        cases: N cases to choose from: those that have any such input, spread over their probabilities.
        probabilities: (N,) of the positive label.
        crops, features: That hold the cases.
        settings: ``network`` of ``conf/explain``: ``n_cases``, ``n_background`` and ``max_evaluations``, as of
            ``explain_inputs``.

    Returns:
        The values, NaN for those of a branch that a case lacks; None where no case has anything that the network
        listens to.

    Raises:
        FusionError: If the model is of a version that kept no training rows to explain it against.
    """
    model.network.cpu()
    stage = _GivenImage(model)
    present = model.presence(cases, crops=crops, features=features)
    has = np.array([present[branch] for branch in stage.branches], dtype=np.bool_).reshape(-1, len(cases)).T
    known = np.flatnonzero(has.any(axis=1))
    if not len(known):
        return None
    if not len(model.background):
        raise FusionError(
            f"fold {model.fold}: required training rows to explain the network against, came a model of an older "
            "version, which kept none; train it again, or predict with explain=none"
        )
    picks = np.sort(known[spread_rows(probabilities[known], settings["n_cases"])])
    picked = [cases[row] for row in picks.tolist()]
    rows = stage.rows(model.assemble(picked, crops=crops, features=features))
    table = explain_inputs(
        stage,
        names=stage.names,
        owners=stage.owners,
        background=stage.background(rows),
        rows=rows,
        case_ids=[case.case_id for case in picked],
        seed=model.fold,
        **settings,
    )
    values, errors = (np.where(has[picks], of_all, np.nan) for of_all in (table.values, table.standard_error))
    given = stage.given(picked, features)
    return replace(table, values=values, standard_error=errors, given=given)


class _GivenImage:
    """The network from the image's embedding on.

    Its columns are the radiomics features that it listens to, the encoded clinical row, and what is no input: the
    image's embedding, and which branches there are.

    Attributes:
        names: (F,) of the inputs.
        branches: (F,) that each is of.
        owners: (C,) input that each column belongs to; -1 for none.
    """

    linear = None

    def __init__(self, model: FittedModel) -> None:
        network, encoder = model.network, model.encoder
        self._model = model
        replaced: dict[int, nn.Module] = {}
        self._heard = np.zeros(0, dtype=np.intp)
        if "image" in network.names:
            replaced[id(network.branches["image"])] = nn.Identity()
        if "radiomics" in network.names:
            branch = network.branches["radiomics"]
            self._heard = np.flatnonzero(branch.get_parameter("gates").detach().numpy())
            replaced[id(branch)] = _with_features(branch, self._heard)
        # A copy in which these stand in the places of the branches; the backbone is not copied.
        self._network = copy.deepcopy(network, replaced)
        self._features = features = [model.scaler.names[feature] for feature in self._heard.tolist()]
        self._columns = columns = encoder.columns if "clinical" in network.names else ()
        self.names = (*features, *(column.name for column in columns))
        self.branches = ("radiomics",) * len(features) + ("clinical",) * len(columns)
        encoded = np.repeat(np.arange(len(columns)), [len(column.inputs) for column in columns]) + len(features)
        d_image = model.settings["model"]["d_embedding"] if "image" in network.names else 0
        self._widths = (len(features), len(encoded), d_image, len(BRANCHES))
        given = np.full(d_image + len(BRANCHES), -1)
        self.owners = np.concatenate([np.arange(len(features)), encoded, given]).astype(np.intp)

    def rows(self, inputs: Inputs) -> Floats:
        """(N, C) of cases."""
        return self._join(inputs.radiomics, inputs.clinical, embed_images(self._model, inputs), inputs.present)

    def given(self, cases: Sequence[Case], features: FeatureTable) -> Given:
        """What N cases had of the F inputs."""
        own, columns = read_features(self._features, features, cases), read_columns(self._columns, cases)
        return beside([("extracted", own), ("table", columns)], len(cases))

    def background(self, rows: Floats) -> Floats:
        """(B, C) of the model's training rows; with all branches and the mean image of ``rows``, to be ranked with."""
        background = self._model.background
        *_, d_image, n_branches = self._widths
        image = rows[:, len(self.owners) - d_image - n_branches : len(self.owners) - n_branches].mean(axis=0)
        present = np.ones((len(background), n_branches))
        return self._join(background.radiomics, background.clinical, np.tile(image, (len(background), 1)), present)

    def probabilities(self, X: Floats) -> Floats:
        """(N, C) columns → (N,) calibrated probabilities of the positive label."""
        radiomics, clinical, image, present = torch.from_numpy(X).float().split(self._widths, dim=1)
        with torch.no_grad():
            logits = self._network(image, radiomics, clinical, present > 0)
        return self._model.probabilities(logits)[:, -1]

    def _join(self, radiomics: NDArray[Any], clinical: NDArray[Any], image: Floats, present: NDArray[Any]) -> Floats:
        encoded = clinical[:, : self._widths[1]]
        return np.concatenate([radiomics[:, self._heard], encoded, image, present], axis=1, dtype=np.float64)


def _with_features(branch: nn.Module, features: NDArray[np.intp]) -> nn.Module:
    """The branch for some of its features alone, the others' gates being closed."""
    fewer = copy.deepcopy(branch)
    for name in ("gates", "directions"):
        setattr(fewer, name, nn.Parameter(branch.get_parameter(name).detach()[..., features]))
    return fewer


@torch.no_grad()
def embed_images(model: FittedModel, inputs: Inputs) -> Floats:
    """(N, d_embedding) of the images, whatever it is where there is none; without the branch (N, 0)."""
    if "image" not in model.network.names:
        return np.zeros((len(inputs), 0))
    weights = np.ones(len(inputs), dtype=np.float32)
    batches = make_loader(inputs, weights=weights, batch_size=_EMBEDDING_BATCH, shuffle=False)
    embed = model.network.branches["image"]
    embedded = torch.cat([embed(model.network_inputs(batch)[0]) for batch in batches])
    return np.asarray(embedded.double().numpy())
