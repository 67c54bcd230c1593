"""The quiz builder of the studio: its rows and its pages."""
