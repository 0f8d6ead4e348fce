"""A log, replayed through the running service, so that an experiment can be tried on users who are known.

chances are what is drawn; held_out is what is replayed, arrivals are when; clicks is how users react; asking is what a
variant would show; plan comes before (what effect could be seen at all), truth is the effect there is; driving does it.
docs/experiments.md says what such an experiment can show and what not.
"""
