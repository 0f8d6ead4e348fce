"""The second stage: from a bundle and the service's own exposures to a bundle that ranks its candidates anew."""
