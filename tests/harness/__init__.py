"""The tools that the tests share: the program, servers, terminals, documents."""
