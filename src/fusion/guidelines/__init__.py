"""Reporting guidelines, item by item, and a model card, from the files of a finished run."""
