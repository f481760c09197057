-- A link to a file has that file's blob: a sync asks by it who else a changed file is.
CREATE INDEX idx_catalog_files_blob_hash ON catalog_files(blob_hash);
