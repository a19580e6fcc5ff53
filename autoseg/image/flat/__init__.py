"""Pictures: images of one plane in PNG, TIFF, JPEG or BMP, which have no place in a patient."""
