"""The harness: scenarios, conformance and chaos, played against a real server over its public HTTP API.

Of the server's own code it uses the pure game, as an oracle, and what starts another process of this program.
"""
