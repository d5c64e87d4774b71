"""Where the jobs of a sweep run, when that is not this process."""
