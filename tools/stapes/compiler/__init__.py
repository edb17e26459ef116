"""Passes over the graph: lower to row layers, schedule, plan memory. No text is emitted here."""

from stapes.compiler.compile import compile_bundle, compile_graph, good_hop
from stapes.compiler.explain import layer_costs
from stapes.compiler.plan import Layer, Plan

__all__ = ["Layer", "Plan", "compile_bundle", "compile_graph", "good_hop", "layer_costs"]
