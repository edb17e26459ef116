"""What a device must be: firmware of this bundle, of this front end, of this shape."""

from __future__ import annotations

from stapes.codegen import frontend_hash
from stapes.errors import IdentityError
from stapes.graph import load_graph
from stapes.link import Hello
from stapes.recipe import Bundle


def verify_identity(
    hello: Hello, bundle: Bundle, build_id: str | None = None, layer_count: int | None = None
) -> None:
    """Raise `IdentityError` when the device runs anything else than firmware of this very bundle.

    `build_id` and the plan's `layer_count`, where known, must be the firmware's.
    """
    if hello.bundle_hash != bundle.hash:
        raise IdentityError(
            f"{hello.board} runs firmware of another bundle ({hello.bundle_hash[:12]}…, "
            f"not {bundle.manifest.name} {bundle.hash[:12]}…)",
            hint="build and flash the firmware of this bundle",
        )
    expected_frontend = frontend_hash(bundle, load_graph(bundle))
    if hello.frontend_hash != expected_frontend:
        raise IdentityError(
            f"{hello.board} runs another front end ({hello.frontend_hash[:12]}…, not {expected_frontend[:12]}…)",
            hint="generate, build and flash again",
        )
    expected = geometry(bundle) | ({} if layer_count is None else {"layer_count": layer_count})
    wrong = [
        f"{name} {getattr(hello, name)}, not {value}"
        for name, value in expected.items()
        if getattr(hello, name) != value
    ]
    if wrong:
        raise IdentityError(
            f"{hello.board} names the right bundle but says {'; '.join(wrong)}",
            hint="generate, build and flash again",
        )
    if build_id is not None and hello.build_id != build_id:
        raise IdentityError(
            f"{hello.board} runs another build ({hello.build_id}, not {build_id})",
            hint="flash the firmware that was just built; press RESET if it was",
        )


def geometry(bundle: Bundle) -> dict[str, int]:
    """Fields of `Hello` that follow from the bundle: rates, lengths and counts."""
    frontend, window = bundle.manifest.frontend, bundle.manifest.window
    return {
        "sample_rate": frontend.sample_rate,
        "class_count": len(bundle.manifest.labels),
        "window_frames": window.frames,
        "window_hop_frames": window.hop_frames,
        "n_features": frontend.n_features,
        "frame_length": frontend.frame_length,
        "hop_length": frontend.hop_length,
    }
