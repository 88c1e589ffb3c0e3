"""Discord's REST API over the World: one file per noun, `server.py` around them."""
