"""Drawing responses from policies."""
