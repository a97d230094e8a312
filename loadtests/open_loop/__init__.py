"""An open-loop generator: arrivals come when they are due, however long the answers take."""
