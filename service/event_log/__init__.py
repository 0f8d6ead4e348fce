"""What users did, kept as Parquet files by day: what they do today trains tomorrow's bundle.

Workers put accepted events into the store's buffer in the same write as the sequences; one writer, whoever holds the
lease, moves them to files. An event may be written twice after a crash; its event_id tells.
"""
