"""Policies as others take them: folders for plain transformers and for a hub."""
