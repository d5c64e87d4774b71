"""The launchers and sweepers, where Hydra looks for them. Hydra imports all of this at every start."""
