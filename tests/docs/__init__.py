"""The examples in the documents work, and what the documents list exists."""
