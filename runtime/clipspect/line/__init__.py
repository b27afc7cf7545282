"""What runs for years: a watched folder inspected once each, across restarts."""
