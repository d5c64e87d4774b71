"""Many jobs: what they are, where they run, what became of them."""
