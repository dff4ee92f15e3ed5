"""Settings: the configuration file, the list of all settings, and where each value comes from."""
