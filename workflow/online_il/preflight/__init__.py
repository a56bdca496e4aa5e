"""Checks files, keys, memory, disk and cluster before a study is started."""
