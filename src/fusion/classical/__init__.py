"""The papers' two-stage pipelines: filters, scores and classifiers, each fitted on the training part of a fold."""
