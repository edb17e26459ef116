"""What all parts of a recipe and of a bundle's manifest have in common."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class Section(BaseModel):
    """A part that takes no unknown key and no value of another type, and that never changes.

    `later` names the keys that are written only where they differ from their default: what is not used is not
    mentioned, so that hashes of recipes and bundles stay when keys are added. A new key belongs there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    later: ClassVar[frozenset[str]] = frozenset()

    def unused(self) -> frozenset[str]:
        """The keys that are not written."""
        fields = type(self).model_fields
        return frozenset(name for name in self.later if getattr(self, name) == fields[name].default)

    @model_serializer(mode="wrap")
    def _without_unused(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        value: dict[str, Any] = handler(self)
        unused = self.unused()
        return {name: item for name, item in value.items() if name not in unused}
