"""One folder per scenario: input.xml, init.xyz, and a line in README.md."""
