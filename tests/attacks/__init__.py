"""What was tried against the program: tables of attacks, a file for each kind."""
