"""Log lines of every process: JSON objects for machines, text for a person at a terminal. Never what a user sent."""

import json
import logging
import logging.config
import traceback
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter

from service.request_ids import log_fields
from service.settings import LogFormat


class WithRequest(logging.Filter):
    """Lets every line through, with the ids of the request being answered."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Always True."""
        vars(record).update(log_fields())
        return True


class JsonLines(JsonFormatter):
    """One JSON object a line; what is given as `extra` is a field of its own."""

    def __init__(self) -> None:
        renamed = {"levelname": "level", "name": "logger", "exc_info": "exception"}
        super().__init__("%(levelname)s %(name)s %(process)d %(message)s", rename_fields=renamed, timestamp=True)

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        """See `told`."""
        return told(ei[1]) if log_fields() else str(super().formatException(ei))


class TextLines(logging.Formatter):
    """A line, with what is given as `extra` behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Values as JSON, so that none of them can begin a line of its own."""
        more = ((name, value) for name, value in vars(record).items() if name not in RESERVED_ATTRS)
        line = super().formatMessage(record)
        return line + "".join(f" {name}={json.dumps(value, default=str)}" for name, value in more)

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """See `told`."""
        return told(ei[1]) if log_fields() else super().formatException(ei)


FORMATTERS: dict[LogFormat, type[logging.Formatter]] = {"json": JsonLines, "text": TextLines}


def log_config(log_format: LogFormat) -> dict[str, Any]:
    """For logging.config.dictConfig; everything, uvicorn's lines too, goes to standard error through one handler."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"lines": {"()": FORMATTERS[log_format]}},
        "filters": {"request": {"()": WithRequest}},
        "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "lines", "filters": ["request"]}},
        "root": {"level": "WARNING", "handlers": ["lines"]},
        "loggers": {"intently": {"level": "INFO"}},
    }


def set_up(log_format: LogFormat) -> None:
    """Let this process log so."""
    logging.config.dictConfig(log_config(log_format))


def told(error: BaseException | None) -> str:
    """Types and places of an exception and of its causes, without their messages: those may quote the request."""
    parts: list[str] = []
    while error is not None:
        parts.append("".join(traceback.format_tb(error.__traceback__)) + type(error).__qualname__)
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "\nbecause of\n".join(parts)
