"""Requests and answers: a module per resource, with its models and their examples in the OpenAPI document."""
