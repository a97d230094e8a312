"""What a team would write by hand in place of this server: the services it is measured against."""
