"""The plugin kit: templates, rules, and the packages in `docs/examples`."""
