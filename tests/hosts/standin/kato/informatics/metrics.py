"""The host's metrics; here the twin computes them."""

from kato_fast.emotives import average


def average_emotives(record):
    return average(record)


def classic_expectation(p):
    return p


def expectation(p, num_symbols):
    return p


def hamiltonian(state, total_symbols):
    return 0.0


def grand_hamiltonian(state, symbol_probabilities, total_symbols):
    return 0.0


def conditionalProbability(state, symbol_probabilities):
    return 0.0
