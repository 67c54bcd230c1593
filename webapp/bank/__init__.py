"""The question bank: items, what makes two of them the same, imports and exports."""
