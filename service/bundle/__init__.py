"""The contract between training and service: what a bundle directory holds and how it is checked.

The reader owns the format; training imports this leaf. It needs numpy and pydantic only.
"""
