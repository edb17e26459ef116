"""From a bundle to the directory of C files that the firmware is built with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stapes.codegen.bundle import alias_source, bundle_sources, require_free_names
from stapes.codegen.emitter import Provenance, remove_earlier, write_sources
from stapes.codegen.frontend import frontend_sources
from stapes.codegen.model import model_sources
from stapes.codegen.selftest import selftest_scores
from stapes.compiler import Plan, compile_bundle
from stapes.features import build_tables
from stapes.files import canonical_json, json_text, sha256
from stapes.graph import Graph, load_graph
from stapes.recipe import Bundle
from stapes.reference import LiveRule, decision_rule, output_quantization


@dataclass(frozen=True)
class Generated:
    """What `generate` wrote, and the plan that the device will follow."""

    directory: Path
    files: tuple[Path, ...]
    plan: Plan
    frontend_hash: str

    def summary(self) -> dict[str, Any]:
        """The keys of `stapes generate --json`."""
        return {
            "files": [path.name for path in self.files],
            "arena_bytes": self.plan.arena_bytes,
            "weights_bytes": self.plan.weights_bytes,
            "unsupported": [],
        }


def frontend_hash(bundle: Bundle, graph: Graph) -> str:
    """Hex SHA-256 of the front end and of how its output is normalised and quantised for the bundle's `graph`."""
    output = output_quantization(bundle, graph)
    return sha256(
        canonical_json(
            {
                "frontend": bundle.manifest.frontend.model_dump(mode="json"),
                "normalization": bundle.manifest.normalization.model_dump(mode="json"),
                "scale": output.scale,
                "zero_point": output.zero_point,
            }
        )
    )


def generate(bundle: Bundle, directory: Path, *, exported: bool = False) -> Generated:
    """Write every generated file of `bundle` into `directory`, which holds one bundle: files that were generated there
    for another go. Nothing is written when the network is unsupported or a constant does not fit.

    `exported`: with a self-test, and without the header by which the programs of firmware/app/ find the bundle.
    """
    graph = load_graph(bundle)
    plan = compile_bundle(bundle)
    tables = build_tables(bundle.manifest.frontend, output_quantization(bundle, graph))
    rule = decision_rule(bundle, graph)
    provenance = Provenance({"bundle": bundle.hash, "model.tflite": sha256(bundle.model)})
    front_end = frontend_hash(bundle, graph)
    name = bundle.manifest.name
    texts = {
        **frontend_sources(tables, provenance, name=name),
        **model_sources(plan, provenance, name=name),
        **bundle_sources(
            bundle.manifest,
            bundle_hash=bundle.hash,
            frontend_hash=front_end,
            rule=rule,
            live=LiveRule.of(bundle.manifest, graph.tensor(graph.outputs[0]).scale, rule.zero_point),
            slides=plan.slide is not None,
            scores=selftest_scores(bundle) if exported else [],
            provenance=provenance,
        ),
    }
    require_free_names(name, texts)
    if not exported:
        texts |= alias_source(name, texts, provenance)
    texts["plan.json"] = json_text(
        {
            "bundle": bundle.hash,
            "frontend": front_end,
            "arena_bytes": plan.arena_bytes,
            "weights_bytes": plan.weights_bytes,
            "layers": [
                {
                    "name": layer.name,
                    "op": layer.op,
                    "tensor": layer.tensor,
                    "rows": layer.rows,
                    "row_bytes": layer.row_bytes,
                    "macs": layer.macs,
                }
                for layer in plan.layers
            ],
        }
    )
    files = write_sources(directory, texts)
    remove_earlier(directory, files)
    return Generated(directory, tuple(files), plan, front_end)


def generated_before(bundle: Bundle, directory: Path) -> Generated:
    """What `generate` returned when it wrote the files that are in `directory`."""
    plan, front_end = compile_bundle(bundle), frontend_hash(bundle, load_graph(bundle))
    return Generated(directory, tuple(sorted(directory.iterdir())), plan, front_end)
