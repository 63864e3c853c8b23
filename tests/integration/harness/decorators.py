"""Marks that tests carry and the runner reads."""

import itertools


def timeout(seconds):
    def mark(function):
        function.timeout = seconds
        return function
    return mark


def full(function):
    """Only with --full."""
    function.full = True
    return function


def cases(**values):
    """One run per combination, given to the test as keyword arguments."""
    def mark(function):
        function.cases = [dict(zip(values, combination)) for combination in itertools.product(*values.values())]
        return function
    return mark
