"""What goes to several nodes, and why that is right: whatever else does is a mistake."""

# Functions, by their names: the statements inside them.
FUNCTIONS = {
    "find_organization": "a slug is looked up before anyone knows whose it is",
    "find_addressee": "so is one, and who keeps the record where it is nobody's",
    "find_email_domain": "so is an e-mail domain",
    "accounts_of_address": "whoever knows nothing but his address asks all organizations",
    "claim_outbox": "the relay takes what is due, of all organizations in turns; it would run once a node",
    "outbox_depth": "metrics count what waits; each node would count its own",
    "parked_jobs": "operators see what was put aside, of all organizations",
    "next_organizations": "what recurs goes through all organizations, some at a time",
    "next_deleted_organizations": "so does the purge",
    "sealed_otherwise": "the rotation of the server key goes through all organizations",
    "purge_organization": "finds rows by their ctid, which must change before anything is distributed (docs/scaling.md)",
}

# Other statements, by what they hold.
STATEMENTS = {
    "from organizations o where true and": "operators list organizations, which lie on all nodes",
    "from organizations where lower(slug) = lower($1)": "an operator steps into an organization by its slug, also a deleted one",
}
