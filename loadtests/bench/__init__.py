"""`make bench`: limits, peers and this server, measured side by side in one run."""
