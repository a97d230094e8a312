"""HTTP: a request becomes a model, a result becomes a response.

`resources/` has a class a resource, each handler under the operation that declares its route; `schemas/` what is sent
and answered; `problems` how every refusal is answered. `routing` leads from a request to its handler.
"""
