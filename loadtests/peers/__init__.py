"""What a team would write by hand instead of using this server: the services it is measured against."""
