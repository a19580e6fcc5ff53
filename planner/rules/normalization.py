"""Decide how each input channel is normalised, by nnU-Net's rules (Isensee et al., Nature Methods 2021)."""

from __future__ import annotations

from autoseg.dataset.fingerprint import Fingerprint
from autoseg.plan.decision import Decision
from autoseg.plan.plan import Channel, Normalization

MASKED_BELOW = 3 / 4
"""The z-score is limited to non-zero voxels if the crop to non-zero keeps less than this share of the median case."""


_SCHEMES: dict[str, Normalization] = {"ct": "ct", "rgb": "rgb_to_0_1", "other": "z_score"}


def normalize_channels(fingerprint: Fingerprint) -> Decision[tuple[Channel, ...]]:
    """The channels of the plan, each with its normalisation.

    CT is clipped to the 0.5 and 99.5 percentiles of the foreground and z-scored by the foreground's mean and standard
    deviation. These are the same for every case, because Hounsfield units mean the same everywhere. The colours of
    8-bit pictures are divided by 255, nnU-Net's scheme for natural images. Any other modality is z-scored image by
    image, inside the non-zero mask where the crop removes much of the image.
    """
    masked = fingerprint.median_relative_size_after_crop < MASKED_BELOW
    channels = tuple(
        Channel(
            name=name,
            normalization=_SCHEMES[modality],
            inside_nonzero_mask=masked and modality == "other",
            foreground=foreground,
        )
        for name, modality, foreground in zip(
            fingerprint.channels, fingerprint.modality, fingerprint.intensities, strict=True
        )
    )
    return Decision(channels, _reason(fingerprint, masked))


def _reason(fingerprint: Fingerprint, masked: bool) -> str:
    kept = f"the crop to non-zero keeps {fingerprint.median_relative_size_after_crop:.0%} of the median image"
    sentences = []
    if "ct" in fingerprint.modality:
        sentences.append("CT: clipped to the foreground's percentiles, z-score by the foreground")
    if "rgb" in fingerprint.modality:
        sentences.append("8-bit colours divided by 255, as nnU-Net's rgb_to_0_1")
    if "other" in fingerprint.modality:
        where = "inside the non-zero mask" if masked else "over the whole crop"
        relation = "less than" if masked else "at least"
        sentences.append(f"z-score by each image {where}: {kept}, {relation} {MASKED_BELOW:.0%}")
    return "; ".join(sentences)
