"""Texture memories of the user's own photographs."""
