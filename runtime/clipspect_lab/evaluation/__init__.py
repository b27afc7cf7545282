"""Accuracy on labelled images: the field's data sets, its metrics, and tables to set beside the papers'."""
