"""HTTP: a request becomes a model, a result becomes a response. One module per resource."""
