"""Runs folds: roots and pages, learner, publisher, replica."""
