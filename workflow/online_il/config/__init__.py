"""The settings of a study. Each script imports only the module of settings that it reads."""
