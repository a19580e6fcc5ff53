"""Configurations that cost less than the reference configuration, the richest first.

In: the reference configuration and the fingerprint. Out: `Candidate`s with their reasons, each cheaper than the one
before or coarser.

The order was chosen by measurement (docs/experiments/network-size.md). First the second convolutions of the decoder
and of the first encoder stage are given up; then width, down to 16 features at the first stage; then patch size, down
to a quarter of a case; then resolution, while the smallest structure stays well resolved, with patches from large to
small at each resolution; then width again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import islice
from typing import TypeAlias

import numpy as np

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.errors import PlanError
from autoseg.image.geometry import Shape, Spacing
from autoseg.plan.configuration import Configuration, Network
from autoseg.plan.decision import Decision, WithReasons
from planner.additions.lesion_classes import lesion_classes
from planner.rules.network_size import Target, network_for
from planner.rules.spacing import axis_order, coarser_spacing, median_shape
from planner.rules.topology import Topology, first_patch, next_smaller, plan_topology

LARGEST_BATCH_3D, LARGEST_BATCH_2D = 2, 8
"""Largest batch sizes of candidates: under a time budget many small steps beat few large ones."""

WIDE, NARROW = (32, 24, 16), (12, 8)
"""Numbers of features at the first stage that are tried before and after resolution is given up."""

MOST_FEATURES = 320
"""Maximum number of features of a stage."""

VOXELS_ACROSS, VOXELS_ACROSS_A_LESION = 12.0, 5.0
"""A coarser spacing must leave at least this many voxels across a structure; fewer across a small lesion."""

LEAST_SHARE_SEEN = 0.25
"""Smallest share of the median case's volume that a 3D patch must see (nnU-Net's rule for 3d_lowres)."""

COARSENINGS_A_LEVEL = 8
"""Number of steps of 3 % from one resolution that is tried to the next: a factor of 1.27."""

SMALLEST_COMPONENT_VOXELS = 8
"""Connected components of fewer voxels are specks, and do not count as structures."""

Candidate: TypeAlias = WithReasons[Configuration]
"""A cheaper configuration, with the reasons for what differs from the reference configuration."""


def coarsest_spacing(fingerprint: Fingerprint) -> float:
    """The coarsest spacing in mm that leaves enough voxels across the structures of each class; 0 without foreground.

    A structure has the diameter of a ball of its volume. The volume of a class is the median over the cases of its
    largest connected component. For a class of lesions it is the lower quartile of all its components of at least eight
    voxels, and fewer voxels across are enough: they are to be found, and a patch that sees more around them, in more
    steps, finds more (docs/experiments/lesions.md). Components that ignored voxels cut are not in the fingerprint's
    list: what is annotated of them together counts as one, since as a rule they are the slabs of one structure.
    """
    found, lesions = [], lesion_classes(fingerprint).value
    for name in fingerprint.labels.foreground:
        known = [case for case in fingerprint.cases if case.is_known(name)]
        cases = [(case.classes[name].components_mm3, math.prod(case.spacing)) for case in known]
        measured = [case.classes[name] for case in known]
        largest = [
            max((one.volume_mm3 - math.fsum(one.components_mm3), *one.components_mm3))
            for one in measured
            if one.volume_mm3
        ]
        components_mm3 = [
            v for components, voxel in cases for v in components if v >= SMALLEST_COMPONENT_VOXELS * voxel
        ]
        if name in lesions and components_mm3:
            found.append(_diameter(np.percentile(components_mm3, 25)) / VOXELS_ACROSS_A_LESION)
        elif largest:
            found.append(_diameter(np.median(largest)) / VOXELS_ACROSS)
    return min(found, default=0.0)


def _diameter(volume: float) -> float:
    """Diameter of the ball with this volume."""
    return float(6 * volume / math.pi) ** (1 / 3)


def candidates(reference: Configuration, fingerprint: Fingerprint) -> Iterator[Candidate]:
    """Yield candidates in the order in which they are preferred, each cheaper than the one before or coarser.

    Args:
        reference: the configuration that follows nnU-Net's rules.
        fingerprint: fingerprint with the shapes of the cases and the sizes of the structures.
    """
    spacings = list(_spacings(reference, fingerprint))
    full, widest = spacings[0], reference.network.features[0]
    yield from islice(_at(reference, fingerprint, full, widest, slim=False), 1)
    for features in WIDE[:-1]:
        yield from islice(_at(reference, fingerprint, full, features), 1)
    yield from _at(reference, fingerprint, full, WIDE[-1])
    for spacing in spacings[1:]:
        yield from _at(reference, fingerprint, spacing, WIDE[-1])
    for features in NARROW:
        yield from _at(reference, fingerprint, spacings[-1], features)


def smaller_patches(reference: Configuration, fingerprint: Fingerprint) -> Iterator[Configuration]:
    """Yield configurations with the reference's spacing and width, with its patch size and then ever smaller ones.

    The share of a case that a patch sees has no lower limit here.
    """
    width = reference.network.features[0]
    full = complete_spacing(reference, fingerprint)
    for candidate in _at(reference, fingerprint, full, width, slim=False, least_seen=0.0):
        yield candidate.value


def _spacings(reference: Configuration, fingerprint: Fingerprint) -> Iterator[Spacing]:
    """Yield the reference's spacing and ever coarser ones, while the smallest structure stays resolved."""
    full = complete_spacing(reference, fingerprint)
    yield full
    largest = coarsest_spacing(fingerprint)
    spacing = np.array(full)
    while True:
        before = spacing
        for _ in range(COARSENINGS_A_LEVEL):
            spacing = coarser_spacing(spacing)
        if (spacing[spacing > before] > largest).any():
            return
        yield float(spacing[0]), float(spacing[1]), float(spacing[2])


def complete_spacing(reference: Configuration, fingerprint: Fingerprint) -> Spacing:
    """The reference's spacing in mm (z, y, x); along an axis that is not resampled that of the median case."""
    median = np.median([case.spacing for case in fingerprint.cases], axis=0)
    return reference.target_spacing((float(median[0]), float(median[1]), float(median[2])))


def _at(
    reference: Configuration,
    fingerprint: Fingerprint,
    spacing: Spacing,
    features: int,
    *,
    slim: bool = True,
    least_seen: float = LEAST_SHARE_SEEN,
) -> Iterator[Candidate]:
    """Yield candidates of one spacing and width, from the reference's patch volume down to the share `least_seen`."""
    shape = median_shape(fingerprint, spacing)
    order = axis_order(spacing, shape).value
    axes = order if reference.slice_axis is None else tuple(a for a in order if a != reference.slice_axis)
    along, median = [spacing[a] for a in axes], [shape[a] for a in axes]
    target = Target(reference.network.architecture, 0.0, fingerprint.labels.outputs, axes)
    topology = plan_topology(along, first_patch(along, median))
    at_most, given = math.prod(reference.patch_size), 0
    while True:
        voxels = math.prod(topology.patch_size)
        share = voxels / math.prod(median)
        # if even the largest patch sees less than it should, it is the only one that is tried
        if given and least_seen and (share < least_seen or reference.slice_axis is not None):
            return
        if voxels <= at_most:
            network = _network(target, topology, features, slim=slim)
            patch_size = Decision(
                target.in_array_order(topology.patch_size, 1), f"sees {min(share, 1):.0%} of the median case"
            )
            yield _candidate(reference, fingerprint, spacing, patch_size, network)
            given += 1
        try:
            topology = next_smaller(topology, along, median)
        except PlanError:
            return


def _candidate(
    reference: Configuration,
    fingerprint: Fingerprint,
    spacing: Spacing,
    patch_size: Decision[Shape],
    network: WithReasons[Network],
) -> Candidate:
    flat = reference.slice_axis
    kept = [None if axis == flat else s for axis, s in enumerate(spacing)]
    coarsening = max(s / f for s, f in zip(spacing, complete_spacing(reference, fingerprint), strict=True))
    return WithReasons(reference).changed(
        spacing=Decision(
            (kept[0], kept[1], kept[2]),
            "the reference's: the time affords it, or structures allow no coarser one"
            if coarsening == 1
            else f"coarser by a factor of {coarsening:.2f} than the reference's, to save time",
        ),
        median_shape=Decision(median_shape(fingerprint, spacing), "voxels of the median case at this spacing"),
        patch_size=patch_size,
        batch_size=Decision(
            min(reference.batch_size, LARGEST_BATCH_3D if flat is None else LARGEST_BATCH_2D),
            f"{reference.batch_size} in the reference plan: more steps are better than larger ones",
        ),
        network=network,
    )


def _network(target: Target, topology: Topology, features: int, *, slim: bool) -> WithReasons[Network]:
    """The network of a candidate: of the given width, and with fewer convolutions where it is to be slim.

    Args:
        target: architecture, classes and axes of the network.
        topology: stages of the network.
        features: number of features at its first stage.
        slim: whether second convolutions are given up where the work is greatest.
    """
    network = network_for(target, topology)
    stages, has = len(network.value.features), f"what the architecture {target.architecture} has"
    network = narrowed(network, features).changed(
        architecture=Decision(target.architecture, f"{stages} stages, by nnU-Net's rules for this patch"),
        encoder_blocks=Decision(network.value.encoder_blocks, has),
        decoder_blocks=Decision(network.value.decoder_blocks, has),
    )
    return slimmed(network) if slim else network


def narrowed(network: WithReasons[Network], features: int) -> WithReasons[Network]:
    """The network with `features` at its first stage, doubled at each stage up to `MOST_FEATURES`."""
    stages = len(network.value.features)
    return network.changed(
        features=Decision(
            tuple(min(MOST_FEATURES, features * 2**stage) for stage in range(stages)),
            f"{features} at the first stage: as many as the time affords",
        )
    )


def slimmed(network: WithReasons[Network]) -> WithReasons[Network]:
    """The network with one convolution at its first encoder stage and at each decoder stage, if it is plain.

    Half of a network's work is at full resolution. This saves a third of all work and loses little accuracy.
    Residual-encoder networks stay as they are; they have one convolution per decoder stage anyway (arXiv:2404.09556).
    """
    if network.value.architecture != "plain":
        return network
    why = "one convolution instead of two where the work is greatest, to save time"
    return network.changed(
        encoder_blocks=Decision((1, *network.value.encoder_blocks[1:]), why),
        decoder_blocks=Decision((1,) * len(network.value.decoder_blocks), why),
    )
