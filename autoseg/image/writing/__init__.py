"""Writes predictions in formats that viewers open with names and colours: `.seg.nrrd`, DICOM, label files."""
