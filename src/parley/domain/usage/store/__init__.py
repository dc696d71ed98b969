"""All SQL on the tables of usage."""
