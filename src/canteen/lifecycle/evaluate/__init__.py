"""Evaluation: labelled data, the field's metrics with their intervals, runs and reports."""
