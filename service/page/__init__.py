"""The web page at /, and what only it asks for."""
