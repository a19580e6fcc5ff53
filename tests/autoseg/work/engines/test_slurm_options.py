import pytest

from autoseg.errors import InputError
from autoseg.work.engines.slurm_options import read_slurm_options


def test_options_are_passed_on() -> None:
    given = ["partition=gpu", "--account=spine lab", "exclusive", "export=A=1", "signal=B:USR1@30"]
    assert read_slurm_options(given) == {
        "partition": "gpu",
        "account": "spine lab",
        "exclusive": "",
        "export": "A=1",
        "signal": "B:USR1@30",
    }


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["array=1-3"], "--slurm-option array: autoseg numbers the units"),
        (["requeue"], "--retries says how often"),
        (["signal=TERM@60"], "give signal=B:USR1@SECONDS"),
        (["qos=a", "qos=b"], "qos is given twice"),
        (["partition="], "it must be KEY=VALUE"),
        (["p=gpu"], "with the long name"),
        # sbatch would take the next line of the script for the value
        (["comment"], "give a value, comment=VALUE; without one go contiguous, exclusive"),
        (["job-nam=mine"], "sbatch may take it for job-name"),
        (["clusters=other"], "SLURM_CLUSTERS"),
        (["comment=a\\b"], "a sign that does not go into a job's script"),
        (["=gpu"], "it must be KEY=VALUE"),
        (["comment=a\n#SBATCH --uid=0"], "a sign that does not go into a job's script"),
        (["comment=a\\b"], "a sign that does not go into a job's script"),
        (['comment=a" b'], "a sign that does not go into a job's script"),
    ],
)
def test_what_does_not_go_is_refused_by_name(given: list[str], told: str) -> None:
    with pytest.raises(InputError) as error:
        read_slurm_options(given)
    assert told in str(error.value)
