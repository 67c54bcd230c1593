"""The item editor of the studio: its form, its preview and its pages."""
