"""A synthetic data set of sagittal spine MR with metastases: the phantom.

`make_phantom` writes a table data set (`cases.csv`, NIfTI files) that anybody may have: no patient
is in it. Each case has T1, T2 and STIR on one anisotropic sagittal grid (some lack a sequence),
vertebral bodies and arches, discs, cord and cerebrospinal fluid, and one to six metastases, from a
few voxels to half a vertebra; in the kind `small`, small ones alone in thick slices. The label holds
the metastases, as they lie in the first sequence; the patient moves a little between sequences.

Signs of contrast against normal fatty marrow:

- lytic: low in T1, high in T2 and STIR, since tumour replaces fat and holds water;
- sclerotic: low in T1 and T2, since mineral has no signal; in STIR anything from occult to high, by
  how much live tumour is between the bone. (Vanel et al., European Radiology 1998, 8:1345-1351;
  Shah and Salzman, International Journal of Surgical Oncology 2011, 769753; Hanrahan and Shah,
  American Journal of Roentgenology 2011, 197:1309-1321. STIR misses a fifth or more of the
  metastases that T1 shows: Ohlmann-Knafo et al., RöFo 2015, 187:924-932.)

What looks alike and is not labelled: haemangiomas (bright in T2 and STIR like a lytic metastasis,
but fatty, so bright in T1 too), degenerate endplates (types 1, 2 and 3 of Modic et al., Radiology
1988, 166:193-199: low/high, high/high and low/low in T1/T2; type 1 high in STIR), basivertebral
veins and islands of fat. Fluid, vessels, muscle and discs share the lesions' intensities. So no
threshold, and no rule that looks at single voxels, finds the lesions.

In numbers, as a share of normal marrow (T1, T2, STIR): lytic 0.44 to 0.68, 1.40 to 1.95, 2.87 to 5.20;
sclerotic 0.22 to 0.54, 0.28 to 0.65, 0.47 to 2.80. Voxels 4.0 to 4.4 mm between slices and 1.05 to 1.15 mm
in plane (`small`: 5.8 to 6.2 and 0.67 to 0.73 mm). Rician noise; marrow is 17 to 36 times its standard
deviation in T1, 13 to 29 in T2, 5 to 11 in STIR. `statement` writes them, and those of what looks alike,
beside the images.

So the sequences have a known order. In T1 every metastasis is dark, and little else in the marrow is:
veins and two types of endplates. In T2 the two types of metastasis lie on either side of marrow,
and haemangiomas, fatty endplates and, at the edge, fat look like the lytic ones. STIR shows the
lytic ones best and misses some sclerotic ones. What one sequence confuses another tells apart, so
that all together are best: haemangiomas and fat by T1, type 3 endplates by STIR.
"""

from autoseg.synthetic_spine.write import make_phantom

__all__ = ["make_phantom"]
