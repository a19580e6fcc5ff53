"""Write what a person sees of a fold in training: `log.csv` and `progress.png`, after an epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoseg.chart_style import own_style
from autoseg.disk.csv_files import csv_text
from autoseg.files import replaced_when_done, write_text
from trainer.checkpoint import LogRow


def write_log(folder: Path, rows: Sequence[LogRow], *, drawn: bool = True) -> None:
    """Write `log.csv` and, if `drawn` is true, `progress.png` into the fold's folder.

    Args:
        folder: folder of the fold's model.
        rows: all lines of the log so far.
        drawn: whether `progress.png` is drawn too.
    """
    columns = list(LogRow.model_fields)
    write_text(folder / "log.csv", csv_text(columns, ([getattr(row, name) for name in columns] for row in rows)))
    if drawn:
        _draw(folder / "progress.png", rows)


@own_style()
def _draw(path: Path, rows: Sequence[LogRow]) -> None:
    # the object interface is used because pyplot would keep global state and choose a display
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 6), dpi=80)
    loss, dice = figure.subplots(2, 1, sharex=True)
    steps = [row.step for row in rows]
    loss.plot(steps, [row.loss for row in rows], color="tab:blue")
    loss.set_ylabel("loss")
    rate = loss.twinx()
    rate.plot(steps, [row.learning_rate for row in rows], color="0.7", linewidth=1)
    rate.set_ylabel("learning rate", color="0.5")
    dice.plot(steps, [row.train_dice for row in rows], label="training patches")
    measured = [row for row in rows if row.val_dice is not None]
    dice.plot([r.step for r in measured], [r.val_dice or 0.0 for r in measured], "o-", label="whole validation cases")
    dice.set(xlabel="step", ylabel="foreground Dice", ylim=(0, 1))
    dice.legend(loc="lower right")
    figure.tight_layout()
    with replaced_when_done(path) as temporary:
        FigureCanvasAgg(figure).print_png(str(temporary))
