"""What applies to every connection, whatever answers on it: limits, timeouts, closing."""
