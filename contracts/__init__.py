"""The HTTP contract and its JSON Schemas, made by ``make contract``."""
