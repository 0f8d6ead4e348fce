"""Who may do what: API keys with scopes and rates, and the audit of what operators did."""
