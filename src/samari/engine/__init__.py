"""The annotator's concepts, without Qt and without napari."""
