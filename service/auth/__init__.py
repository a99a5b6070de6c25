"""Who calls, and what they may: API keys, bearer tokens, scopes, limits."""
