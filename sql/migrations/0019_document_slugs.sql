-- Submissions find a document by name or slug, also one that a sync removed; the unique indexes of
-- slugs know active ones alone.
CREATE INDEX idx_catalog_items_any_slug ON catalog_items(slug);
CREATE INDEX idx_catalog_bundles_any_slug ON catalog_bundles(slug);
CREATE INDEX idx_update_items_any_slug ON update_items(slug);
CREATE INDEX idx_upgrade_items_any_slug ON upgrade_items(slug);
