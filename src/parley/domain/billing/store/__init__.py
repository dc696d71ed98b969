"""All SQL on the tables of money."""
