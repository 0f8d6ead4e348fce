"""CUPED: what users did before the experiment explains a part of the variance, and cannot be an effect."""

from service.experiments.statistics.delta import Linear, linear
from service.experiments.statistics.metrics import Metric
from service.experiments.statistics.moments import Moments


def theta(metric: Metric, control: Moments, treatment: Moments) -> float:
    """Cov(Y, X) / Var(X) of all users together: one slope for both variants, or it could carry an effect.

    Deng, Xu, Kohavi, Walker (WSDM 2013); Y and X are linearised where the metric is a ratio. 0 when a variant's users
    have no past, or all the same.
    """
    if not (_has_past(metric, control) and _has_past(metric, treatment)):
        return 0.0
    return _slope(metric, control + treatment)


def adjusted(metric: Metric, moments: Moments, both: Moments, slope: float) -> Linear:
    """Y - slope (X - X of both variants): the same expectation, less variance. A slope of 0 leaves Y as it is."""
    found = linear(moments, metric.columns)
    if slope == 0:
        return found
    own, common = linear(moments, metric.covariates), linear(both, metric.covariates)
    return Linear(found.value - slope * (own.value - common.value), found.weights - slope * own.weights)


def reduced(metric: Metric, moments: Moments) -> float:
    """The variance of one user's adjusted value, among users of no experiment: what a plan can count on."""
    slope = _slope(metric, moments) if _has_past(metric, moments) else 0.0
    return adjusted(metric, moments, moments, slope).variance(moments)


def _slope(metric: Metric, moments: Moments) -> float:
    covariate = linear(moments, metric.covariates)
    variance = covariate.variance(moments)
    return 0.0 if variance == 0 else linear(moments, metric.columns).covariance(covariate, moments) / variance


def _has_past(metric: Metric, moments: Moments) -> bool:
    """A ratio of the past needs a denominator that is not 0."""
    return metric.denominator is None or bool(moments.sums[moments.place(metric.covariates[-1])])
