-- The App Home shows what the last syncs changed, among millions of other events.
CREATE INDEX idx_events_catalog_synced ON events(id) WHERE kind = 'catalog.synced';
