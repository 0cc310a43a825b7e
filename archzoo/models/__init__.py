"""One paper, one file. The registry finds them; nothing here lists them."""
