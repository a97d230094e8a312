"""Delivery: webhook endpoints, what is sent to them from the outbox that processing fills, and the open feeds."""
