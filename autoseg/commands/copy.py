"""`autoseg copy`: copies a RUN folder, whole or without data of patients."""

from __future__ import annotations

from autoseg.commands.command import command
from autoseg.commands.guards import existing_run, folder_for_results
from autoseg.commands.options import CopyFolder, FollowLinks, ModelsOnly, RunToCopy
from autoseg.run_folder.copy_run import copy_run
from autoseg.terminal import open_console


@command
def copy(
    run: RunToCopy, output: CopyFolder, *, models_only: ModelsOnly = False, follow_links: FollowLinks = False
) -> None:
    """Copy a RUN folder; with --models-only without patients' images.

    Raises:
        RunFolderError: RUN is no RUN folder, no fold is trained whose models could be copied, or the copy would not be
            empty or would be inside RUN.
    """
    copy_run(existing_run(run, follow_links=follow_links), folder_for_results(output), models_only=models_only)
    what = "Models, without cases" if models_only else "Copied"
    open_console().print(f"{what}: {output}", soft_wrap=True)
