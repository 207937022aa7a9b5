"""Access: roles, tokens, and what is kept of them."""
