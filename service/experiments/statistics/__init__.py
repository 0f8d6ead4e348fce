"""From sums over users to a decision: numpy, nothing is read, nothing is written.

metrics (declarations) say what is compared; moments hold what a comparison needs; delta, cuped and estimates value a
variant; comparison, confidence_sequence and quantiles set two beside each other, as effects. sample_ratio, holm,
novelty and verdict judge them. planner comes before.
docs/experiments.md has the formulas and says when which number may be believed.
"""
