"""The only room that writes C: templates, data, files."""

from stapes.codegen.generate import Generated, frontend_hash, generate, generated_before

__all__ = ["Generated", "frontend_hash", "generate", "generated_before"]
