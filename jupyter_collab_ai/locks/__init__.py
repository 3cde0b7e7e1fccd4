"""Who may write where, for how long: leases with fencing tokens."""
