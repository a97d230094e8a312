"""Conditions and formulas: CEL, its costs and limits, and simple ones as plain functions."""
