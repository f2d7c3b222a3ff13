"""Videos in plain tar files (WebDataset's layout) with an index of offsets, read by ranges of bytes from any place fsspec knows."""
