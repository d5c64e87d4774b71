from pathlib import Path

import hydra
from hydra.core.override_parser.overrides_parser import OverridesParser

from fusion.entry import register_resolvers
from fusion.sweeps.optuna_search import Search
from fusion.sweeps.search_space import SearchSpace


def test_the_ready_search_is_one_that_train_understands(root: Path) -> None:
    register_resolvers()
    with hydra.initialize_config_dir(version_base="1.3", config_dir=str(root / "conf")):
        config = hydra.compose("train", overrides=["sweep=full_search"], return_hydra_config=True)
        params = config.hydra.sweeper.params
        parsed = OverridesParser.create().parse_overrides([f"{key}={value}" for key, value in params.items()])
        space = SearchSpace.from_overrides(parsed)
        settings = {key: value for key, value in config.hydra.sweeper.items() if key not in ("_target_", "params")}
        assert Search(**settings).pruner["interval_epochs"] == 1
        # Every key is one of the configuration, and takes what the search gives.
        lowest = {key: of.low if hasattr(of, "low") else of.choices[0] for key, of in space.distributions.items()}
        assert len(hydra.compose("train", overrides=list(space.overrides(lowest)))) > 20
