"""Studies: from a scenario to a validated plan."""
