"""The output for people and scripts. Only this room prints, and only it imports rich."""
