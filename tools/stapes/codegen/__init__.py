"""The only room that writes C: templates, data, files."""
