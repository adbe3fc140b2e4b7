"""Events: every frame as it was received, and the books made from them."""
