"""The load test: `python -m loadtests.run`, or `locust -f loadtests/locustfile.py` against your own server."""
