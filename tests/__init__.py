"""Tests, one folder for each package; `contract` holds what is promised about the whole."""
