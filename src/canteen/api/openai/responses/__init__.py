"""The Responses API, without state: what an answer needs is in its request."""
