"""Figures of a run, one kind a file: each is made from a table, and computes nothing."""
