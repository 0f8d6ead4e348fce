"""From exposure files and event files to a report: which variant is better, by how much, and whether to believe it.

period (which time counts) -> files (Parquet to tables) -> sums (tables to Moments) -> judging (Moments to results)
-> building (all of it) -> contents (the report), which markdown and plots show. keeper builds for many who ask.
"""
