"""Conditions and formulas: CEL, its costs and limits, and the simple ones as plain functions."""
