"""The napari plugin: turns layers, keys and clicks into Session calls, and results into layers."""
