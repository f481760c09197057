-- By what a file defines and mentions a sync finds out whom a change concerns, without reading all files.
CREATE FUNCTION catalog_slugs(p_defines TEXT[]) RETURNS TEXT[]
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(split_part(defined, ':', 2)), '{}') FROM unnest(p_defines) AS defined
$$;

ALTER TABLE catalog_files ADD COLUMN slugs TEXT[] GENERATED ALWAYS AS (catalog_slugs(defines)) STORED;
CREATE INDEX idx_catalog_files_slugs ON catalog_files USING gin(slugs);
CREATE INDEX idx_catalog_files_mentions ON catalog_files USING gin(mentions);
