"""What a person or a script sees. This is the only room that prints and that knows rich."""
