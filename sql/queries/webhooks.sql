-- name: remember_delivery
-- Take a delivery for the first time: nothing comes back for one that was taken before. GitHub can send an old
-- one again by hand for three days; what is older than ninety is forgotten here.
WITH forgotten AS (
    DELETE FROM webhook_deliveries
    WHERE at < clock_timestamp() - INTERVAL '90 days' AND id <> %(id)s
)
INSERT INTO webhook_deliveries (id, source) VALUES (%(id)s, %(source)s)
ON CONFLICT (id) DO NOTHING
RETURNING TRUE;
