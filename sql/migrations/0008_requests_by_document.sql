-- Who owns a document lists its requests.
CREATE INDEX idx_service_requests_item_created ON service_requests(catalog_item_id, created_at DESC, id DESC)
    WHERE catalog_item_id IS NOT NULL;
CREATE INDEX idx_service_requests_bundle_created ON service_requests(catalog_bundle_id, created_at DESC, id DESC)
    WHERE catalog_bundle_id IS NOT NULL;
