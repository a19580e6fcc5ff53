"""`autoseg.Predictor`: the models of a RUN folder, loaded once, that predict images in memory."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from autoseg.commands.command import types_of_options
from autoseg.commands.dictionary_transform import OnDictionary
from autoseg.commands.guards import existing_run
from autoseg.commands.option_bounds import refuse_out_of_bounds
from autoseg.commands.options import (
    Device,
    FollowLinks,
    MemberConfigurations,
    MemberFolds,
    Mirror,
    PostProcessing,
    RunOrModels,
    Threads,
    WholeImage,
)
from autoseg.commands.what_predicts import say_what_predicts, what_predicts
from autoseg.dataset.fingerprint import read_fingerprint
from autoseg.dataset.one_case import one_case
from autoseg.machine.device import resolve_device
from autoseg.plan.network_input import seen_sequences
from autoseg.run_folder.selection import rules_by_class
from autoseg.terminal import open_console
from inference.ensemble_groups import load_group
from inference.predict_image import LoadedModels
from inference.predict_one import predict_one
from inference.predicted_part import limits
from inference.prediction import Prediction, PredictionWarning


class Predictor:
    """The models of a RUN folder, loaded once; a call predicts one image.

    `predictor(image)` gives the bits that `autoseg predict` writes with the same options. It keeps nothing between
    calls, and several threads may call it at once: on a CPU one call computes at a time, on other devices one network.

    Args:
        run (Path | str): A RUN folder, or a copy of its models.
        config (Sequence[str] | str | None): Predict with these configurations together [default: as selected, else 3d].
        fold (Sequence[int] | int | None): Predict with these folds alone [default: all finished, else all begun].
        device (str): `auto`, `cpu`, `cuda`, `cuda:N` or `mps`.
        mirror (bool | None): Average over mirrored images too [default: as planned].
        post_processing (bool): Apply the post-processing that was selected.
        whole_image (bool): Predict whole images, although the plan limits prediction to a region.
        threads (int | None): Threads that compute on a CPU [default: as many as other programs leave cores for].
        follow_links (bool): Whether links in the RUN folder may lead out of it.

    Raises:
        RunFolderError: nothing is trained yet, or the folder is damaged.
        PlanError: a configuration is not in the plan.
        InputError: an option is malformed, or this machine has no such device.
    """

    def __init__(
        self,
        run: RunOrModels,
        *,
        config: MemberConfigurations = None,
        fold: MemberFolds = None,
        device: Device = "auto",
        mirror: Mirror = None,
        post_processing: PostProcessing = True,
        whole_image: WholeImage = False,
        threads: Threads = None,
        follow_links: FollowLinks = False,
    ) -> None:
        options = {"fold": fold, "threads": threads}
        refuse_out_of_bounds(types_of_options(type(self).__init__), options)
        folder = existing_run(run, follow_links=follow_links)
        what = what_predicts(folder, config, post_processing=post_processing)
        plan, _, selection, configurations = what
        where, folds, console = (
            resolve_device(device),
            (fold,) if isinstance(fold, int) else fold,
            open_console(stderr=True),
        )
        say_what_predicts(console, folder, what)
        if plan.region is not None and not whole_image:
            console.print(limits(plan.region))
        self._run, self._threads = folder.path, threads
        self._models = LoadedModels(
            plan=plan.changed(region=None) if whole_image else plan,
            fingerprint=read_fingerprint(folder.fingerprint),
            groups=tuple(
                load_group(folder, plan, name, folds, device=where, mirror=mirror, console=console)
                for name in configurations
            ),
            rules=rules_by_class(() if selection is None else selection.post_processing, plan.labels),
        )

    @property
    def sequences(self) -> tuple[str, ...]:
        """Names of the sequences that the models know, in the order in which a list of images gives them."""
        return tuple(channel.name for channel in self._models.plan.channels)

    @property
    def labels(self) -> dict[str, int]:
        """Value in a label map of each class, or of each region, by its name; background first."""
        labels = self._models.plan.labels
        if labels.regions:
            return {labels.names[0]: labels.values[0]} | {region.name: region.value for region in labels.regions}
        return dict(zip(labels.names, labels.values, strict=True))

    def __call__(
        self,
        image: object,
        *,
        spacing: Sequence[float] | None = None,
        probabilities: bool = False,
        members: bool = False,
        measurements: bool = False,
    ) -> Prediction:
        """Predict one image.

        Args:
            image: an image of SimpleITK; an array (z, y, x), or (channel, z, y, x), whose axes z, y and x grow to
                superior, posterior and left; or a path as `autoseg predict` takes it. For several sequences a dict of
                these by name, or a list of these in the order of `sequences`, in which None is a sequence that was not
                acquired; or a TorchIO subject.
            spacing: spacing (z, y, x) in mm of arrays.
            probabilities: give the probability of each class too.
            members: give the label map of each model alone too; each of them predicts the image once more.
            measurements: measure each class too, as `autoseg predict` does for `measurements.csv`.

        Returns:
            The label map, an image of SimpleITK on the grid of the image, or of the first sequence that is there. What
            is unusual is in its `notes`, and is warned of.

        Raises:
            InputError: the image is of no kind that is understood, or an array has no spacing.
            ImageError, DatasetError: the image cannot be predicted; the message says why, as that of the command does.
        """
        seen = {
            name for group in self._models.groups for name in seen_sequences(self._models.plan, group.configuration)
        }
        needed = [name for name in self.sequences if name in seen]
        fingerprint = self._models.fingerprint
        pictures = fingerprint.pixel_spacing is not None or "rgb" in fingerprint.modality
        case = one_case(image, self.sequences, spacing, needed=needed, pictures=pictures)
        # pictures get the size of their pixels by the rule of the training cases
        case = replace(case, pixel_spacing=fingerprint.pixel_spacing)
        predicted = predict_one(
            self._models,
            case,
            threads=self._threads,
            probabilities=probabilities,
            members=members,
            measurements=measurements,
        )
        for note in predicted.notes:
            warnings.warn(note, PredictionWarning, stacklevel=2)
        return predicted

    def on_dictionary(
        self, keys: Mapping[str, str] | Sequence[str] | None = None, *, output: str = "prediction"
    ) -> Callable[[Mapping[Any, Any]], dict[Any, Any]]:
        """Return a transform of dictionaries, such as MONAI's, that adds the prediction of each.

        Args:
            keys: key of each sequence, by the sequence's name, or keys in the order of `sequences`; None = the keys
                are the names. A key that a dictionary lacks is a sequence that was not acquired.
            output: key of the prediction; it is what the images are: a tensor of MONAI, or else an image of SimpleITK.

        Returns:
            A function from a dictionary to a copy with the prediction, for `monai.transforms.Compose`.
        """
        return OnDictionary(self, keys, output)

    def __repr__(self) -> str:
        members = (f"{group.name} fold {m.fold}" for group in self._models.groups for m in group.ensemble.members)
        return (
            f"Predictor({str(self._run)!r}: {', '.join(members)}; {', '.join(self.sequences)}; {self._models.device})"
        )
