"""`stapes prove`: what holds for all inputs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from stapes.cli.common import JsonOption, console, goes_on, note, progress_bar, save_json
from stapes.cli.compile import ModelArgument, read_model

if TYPE_CHECKING:
    from stapes.proof import Proof


def prove(
    model: ModelArgument,
    target: Annotated[
        str, typer.Option("--target", metavar="T", help="host, qemu:MACHINE or board:NAME@PORT")
    ] = "host",
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Build directory.")] = Path("build/prove"),
    certificate: Annotated[
        Path | None,
        typer.Option(
            "--certificate", metavar="FILE", help="The certificate [proof.json beside the network]."
        ),
    ] = None,
    json: JsonOption = None,
) -> None:
    """Show, layer by layer, that a target computes what TFLM computes, for all inputs; what is not shown is named."""
    from stapes.proof import certificate_of, frontend_of, prove_model, write_certificate
    from stapes.recipe import Bundle

    data, hop = read_model(model)
    frontend = frontend_of(Bundle.load(model)) if (model / "bundle.json").is_file() else None
    with goes_on(), progress_bar() as progress:
        proof = prove_model(
            data, target, out / model.stem, name=model.name, hop=hop, frontend=frontend, progress=progress
        )
    save_json(json, proof.as_json())
    path = certificate or certificate_of(model)
    write_certificate(path, proof)
    _print(proof)
    console.print(f"certificate: {path}", soft_wrap=True)
    if proof.verdict == "failed":
        raise typer.Exit(1)


def _print(proof: Proof) -> None:
    from rich.table import Table

    table = Table("layer", "kernel", "verdict", "compared")
    parts = proof.frontend or []
    for part in parts:
        table.add_row(
            f"front end: {part.name}",
            part.kernel,
            part.verdict,
            f"{sum(claim.count for claim in part.claims):,}",
            end_section=part is parts[-1],
        )
    for layer in proof.layers:
        compared = sum(claim.count for claim in layer.claims)
        name = f"{layer.index} {layer.name.split(';')[0]}"
        table.add_row(name, layer.kernel, layer.verdict, f"{compared:,}")
    console.print(table)
    about = [
        (f"layer {layer.index} ({layer.name})", claim) for layer in proof.layers for claim in layer.claims
    ]
    about += [(f"front end, {part.name}", claim) for part in parts for claim in part.claims]
    about += [("all layers", claim) for claim in (proof.wiring, proof.schedule) if claim is not None]
    for where, claim in about:
        if claim.verdict != "proved" or where == "all layers":
            style = "bold red" if claim.verdict == "failed" else "bold"
            note(f"{claim.verdict}:", f"{where}, {claim.part}: {claim.how}", style)
    counts = {
        word: sum(layer.verdict == word for layer in proof.layers) for word in ("proved", "tested only")
    }
    console.print(
        f"{counts['proved']} of {len(proof.layers)} layers proved for all inputs, {counts['tested only']} tested only; "
        f"{proof.compared:,} values compared on {proof.target} ({proof.core}, {proof.compiler})",
        soft_wrap=True,
    )
