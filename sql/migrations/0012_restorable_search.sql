-- A restore computes generated columns with an empty search_path, where a name inside a function's text is not
-- found. Written as an expression the body is kept with its references, which a dump writes out in full.
CREATE OR REPLACE FUNCTION catalog_search_text(p_name TEXT, p_display_name TEXT, p_description TEXT, p_tags JSONB)
RETURNS tsvector
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN setweight(to_tsvector('simple', slugify(coalesce(p_name, '')) || ' ' || translate(coalesce(p_name, ''), '-_./', '    ')), 'A')
    || setweight(to_tsvector('simple', coalesce(p_display_name, '')), 'A')
    || setweight(jsonb_to_tsvector('simple', coalesce(p_tags, '[]'), '["string"]'), 'B')
    || setweight(to_tsvector('simple', translate(coalesce(p_description, ''), '-_./', '    ')), 'C');
