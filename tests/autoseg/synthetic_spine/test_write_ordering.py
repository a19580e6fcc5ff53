"""The ordering of the sequences that a study has to find.

Judged with scikit-learn; of the code that draws, only the anatomy is used to tell where marrow is.
"""

import numpy as np
import pytest
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import GroupKFold

from autoseg.synthetic_spine import make_phantom
from autoseg.synthetic_spine.anatomy import bone_distance, locate
from autoseg.synthetic_spine.cohort import draw_grid, draw_scene, plan_cohort
from autoseg.synthetic_spine.mr_signal import Motion, _sub_slices
from tests.autoseg.synthetic_spine.phantom_files import SEQUENCES, read, table


@pytest.fixture(scope="module")
def marrow_voxels(tmp_path_factory):
    """Of a reduced phantom: intensities over the marrow's median (n, 3), whether metastasis (n,), patient (n,)."""
    shape = (14, 96, 58)
    folder = make_phantom(
        tmp_path_factory.mktemp("ordering") / "spine", cases=18, seed=11, missing=0, shape=shape, workers=1
    )
    intensities, truths, patients = [], [], []
    for plan, row in zip(plan_cohort(18, 11, shape, missing=0), table(folder), strict=True):
        grid, spine = draw_grid(plan), draw_scene(plan).spine
        middle_of_slices = _sub_slices(grid, Motion())[1]
        inside = (bone_distance(spine, locate(spine, middle_of_slices)) < -2).reshape(shape)
        images = [read(folder / row[sequence])[inside].astype(float) for sequence in SEQUENCES]
        intensities.append(np.stack([image / np.median(image) for image in images], axis=1))
        truths.append(read(folder / row["label"])[inside] > 0)
        patients.append(np.full(int(inside.sum()), plan.patient))
    return np.concatenate(intensities), np.concatenate(truths), np.concatenate(patients)


CLASSIFIERS = {
    "linear": LinearDiscriminantAnalysis(),
    "any boundary": HistGradientBoostingClassifier(max_iter=60, max_leaf_nodes=12, random_state=0),
}


def separation(classifier, voxels, columns):
    """Average precision of metastasis against other marrow, in patients that the classifier did not see."""
    intensities, truth, patients = voxels
    scores = []
    for train, test in GroupKFold(3).split(intensities, truth, patients):
        classifier.fit(intensities[train][:, columns], truth[train])
        likely = classifier.predict_proba(intensities[test][:, columns])[:, 1]
        scores.append(average_precision_score(truth[test], likely))
    return float(np.mean(scores))


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_t1_separates_metastases_from_marrow_better_than_t2_and_all_sequences_best(marrow_voxels, name):
    alone = {s: separation(CLASSIFIERS[name], marrow_voxels, [i]) for i, s in enumerate(SEQUENCES)}
    assert alone["T1"] > alone["T2"] + 0.08
    # one plane cannot use T2, in which the two types of metastasis lie on either side of marrow
    if name != "linear":
        assert separation(CLASSIFIERS[name], marrow_voxels, [0, 1, 2]) > max(alone.values())
