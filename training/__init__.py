"""How the bundled models are made, start to finish, from this repository alone."""
