"""The host's metrics; here the twin computes them."""

from kato_fast.emotives import average


def average_emotives(record):
    return average(record)


def expectation(p, num_symbols):
    return p


def normalized_entropy(state, total_symbols):
    return 0.0


def global_normalized_entropy(state, symbol_probabilities, total_symbols):
    return 0.0


def confluence(state, symbols_kb, _P1=None):
    return 0.0


def conditionalProbability(state, symbol_probabilities):
    return 0.0
