"""What is sent and answered: a module a resource, its models and their examples as the OpenAPI document shows them."""
