"""Side-by-side measurements: Parley beside the bare engine's own server and beside a bare HTTP application."""
