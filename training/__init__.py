"""Offline: an interaction log goes in, a bundle comes out."""
