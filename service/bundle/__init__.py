"""The contract between training and service: what a bundle directory holds and how it is checked.

And how both read the lines of a log. The reader owns the format; training imports this leaf. It needs numpy and
pydantic only.
"""
