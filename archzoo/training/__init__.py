"""How the papers trained their networks. Is handed a model, and knows none."""
