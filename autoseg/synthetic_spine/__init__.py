"""A synthetic data set of sagittal spine MR with metastases, called the phantom.

`make_phantom` writes a table data set (`cases.csv`, NIfTI files). It contains no patient, so anybody may have it.
Each case has T1, T2 and STIR on one anisotropic sagittal grid (some cases lack a sequence), with vertebral bodies
and arches, discs, cord, cerebrospinal fluid, and one to six metastases, from a few voxels to half a vertebra. The
kind `small` has small metastases only, in thick slices. The label holds the metastases as they lie in the first
sequence; the patient moves a little between sequences.

Contrast of metastases against normal fatty marrow:

- lytic: low in T1, high in T2 and STIR, since tumour replaces fat and holds water;
- sclerotic: low in T1 and T2, since mineral has no signal; in STIR from invisible to high, depending on
  how much live tumour is between the bone. (Vanel et al., European Radiology 1998, 8:1345-1351;
  Shah and Salzman, International Journal of Surgical Oncology 2011, 769753; Hanrahan and Shah,
  American Journal of Roentgenology 2011, 197:1309-1321. STIR misses a fifth or more of the
  metastases that T1 shows: Ohlmann-Knafo et al., RöFo 2015, 187:924-932.)

Confounders look like metastases and are not labelled: haemangiomas (bright in T2 and STIR like a lytic metastasis,
but fatty, so bright in T1 too), degenerate endplates (types 1, 2 and 3 of Modic et al., Radiology
1988, 166:193-199: low/high, high/high and low/low in T1/T2; type 1 high in STIR), basivertebral
veins and islands of fat. Fluid, vessels, muscle and discs have the same intensities as lesions. So no
threshold, and no other rule on single voxels, finds the lesions.

Signal as a share of that of normal marrow (T1, T2, STIR): lytic 0.44 to 0.68, 1.40 to 1.95, 2.87 to 5.20;
sclerotic 0.22 to 0.54, 0.28 to 0.65, 0.47 to 2.80. Voxels are 4.0 to 4.4 mm between slices and 1.05 to 1.15 mm
in plane (`small`: 5.8 to 6.2 and 0.67 to 0.73 mm). Noise is Rician; the signal of marrow is 17 to 36 times the noise's
standard deviation in T1, 13 to 29 times in T2, 5 to 11 times in STIR. `statement` makes these numbers, and those of
the confounders, which are written beside the images.

So it is known which sequence shows what. In T1 every metastasis is dark, and of the rest of the marrow only veins and
two types of endplates are. In T2 one type of metastasis is brighter than marrow and the other darker; haemangiomas,
fatty endplates and, at the edge, fat look like lytic metastases. STIR shows lytic metastases best and misses some
sclerotic ones. What looks alike in one sequence differs in another (haemangiomas and fat in T1, type 3 endplates in
STIR), so that all sequences together are best.
"""

from autoseg.synthetic_spine.write import make_phantom

__all__ = ["make_phantom"]
