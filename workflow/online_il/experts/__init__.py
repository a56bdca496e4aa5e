"""What can be imitated: policies that draw responses and say their next-token probabilities."""
