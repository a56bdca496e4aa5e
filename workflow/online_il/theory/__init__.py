"""The paper's theory as exact experiments; nothing here is trained."""
