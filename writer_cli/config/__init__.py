"""Settings: the configuration file, what each setting may be, and where each value comes from."""
