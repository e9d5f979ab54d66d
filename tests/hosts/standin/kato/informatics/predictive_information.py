"""The ensemble; here the twin computes it."""


def hash_future(future):
    return str(future)


def calculate_future_aggregates(predictions):
    return {}


def calculate_ensemble_predictive_information(predictions):
    return predictions, []
