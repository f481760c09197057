-- Each component of a bundle has a timeout of its own: {component: seconds}, counted from its first step since the
-- request began or was resumed.
ALTER TABLE service_requests ADD COLUMN component_seconds JSONB;
ALTER TABLE service_requests ADD COLUMN component_timeouts_since TIMESTAMPTZ;
CREATE INDEX idx_service_requests_component_timeouts ON service_requests(id)
    WHERE component_seconds IS NOT NULL AND status = 'in_progress';
