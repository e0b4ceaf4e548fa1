"""Sections of the report of a run of the pipeline, made of the blocks of the report of `tfrec.train`."""
