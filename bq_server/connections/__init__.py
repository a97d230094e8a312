"""What holds for every connection, whoever answers on it: caps, time limits, the end."""
