"""New orders for retrieved lists: more diverse, less obvious, or closer to what a user had before."""
