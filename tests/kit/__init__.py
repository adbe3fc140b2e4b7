"""The plugin kit: patterns, rules, and the packages in `docs/examples`."""
