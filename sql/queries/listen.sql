-- name: alive
-- Ask a silent connection whether it still has a server.
SELECT 1;
