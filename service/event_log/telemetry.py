"""What Prometheus sees of the writer, which is no worker: the workers' gauges must not be made in its process."""

from prometheus_client import Counter, Gauge

BUFFERED = Gauge(
    "intently_event_log_buffered_bytes",
    "Room in the store that events and exposures take which wait for the event log's writer.",
    multiprocess_mode="livemax",
)
BUFFER = Gauge(
    "intently_event_log_buffer_bytes",
    "How much may wait for the event log's writer before events are refused.",
    multiprocess_mode="livemax",
)
WRITTEN = Counter("intently_event_log_written", "Events written to the event log.")
EXPOSURES_WRITTEN = Counter("intently_event_log_exposures_written", "Exposures written to the event log.")
