"""Recent interactions per user. One protocol, an embedded default and Redis."""
