"""Starting, stopping, locks, running out, progress: what decides no number."""
