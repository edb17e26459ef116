"""What a device says of itself must be what follows from the bundle: every number, not the hashes alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
from small_bundle import make_small_bundle

from stapes.codegen import frontend_hash
from stapes.device import geometry, verify_identity
from stapes.errors import IdentityError
from stapes.graph import load_graph
from stapes.link import Hello
from stapes.recipe import Bundle


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return make_small_bundle(tmp_path_factory.mktemp("identity") / "bundle")


@pytest.fixture(scope="module")
def hello(bundle: Bundle) -> Hello:
    return Hello(
        protocol=3,
        counter="cycles",
        api_version=3,
        counter_scale=1.0,
        max_payload=256,
        layer_count=1,
        bundle_hash=bundle.hash,
        frontend_hash=frontend_hash(bundle, load_graph(bundle)),
        board="a_board",
        build_id="0123456789ab",
        version="1.0",
        unique_id="",
        **geometry(bundle),
    )


def test_the_right_device(bundle: Bundle, hello: Hello) -> None:
    verify_identity(hello, bundle)
    verify_identity(hello, bundle, "0123456789ab")


@pytest.mark.parametrize(
    "name",
    [
        "sample_rate",
        "class_count",
        "window_frames",
        "window_hop_frames",
        "n_features",
        "frame_length",
        "hop_length",
    ],
)
def test_a_wrong_number_is_named(bundle: Bundle, hello: Hello, name: str) -> None:
    right = getattr(hello, name)
    with pytest.raises(
        IdentityError, match=f"a_board names the right bundle but says {name} {right + 1}, not {right}"
    ):
        verify_identity(replace(hello, **{name: right + 1}), bundle)


def test_all_wrong_numbers_are_named_at_once(bundle: Bundle, hello: Hello) -> None:
    with pytest.raises(IdentityError, match=r"sample_rate 1, not \d+; hop_length 2, not \d+"):
        verify_identity(replace(hello, sample_rate=1, hop_length=2), bundle)


def test_another_build_is_another_device(bundle: Bundle, hello: Hello) -> None:
    with pytest.raises(IdentityError, match=r"another build \(0123456789ab, not ffff\)"):
        verify_identity(hello, bundle, "ffff")
    with pytest.raises(IdentityError, match="another bundle"):
        verify_identity(replace(hello, bundle_hash="00"), bundle)
    with pytest.raises(IdentityError, match="another front end"):
        verify_identity(replace(hello, frontend_hash="00"), bundle)
