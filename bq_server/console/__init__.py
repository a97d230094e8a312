"""The built console: the page that `/console` serves, made from `clients/console` by `make console`."""
