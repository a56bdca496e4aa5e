"""What can be checked before a study is started: files, keys, memory, disk, cluster."""
