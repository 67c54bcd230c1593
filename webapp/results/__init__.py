"""Statistics of the attempts at a quiz, for its authors."""
