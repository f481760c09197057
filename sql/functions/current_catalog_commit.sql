-- The commit at which what a document names (Terraform modules) is read: that of the last sync, and
-- for a document whose file is broken now, the last commit at which it was good.
CREATE OR REPLACE FUNCTION current_catalog_commit(p_file_path TEXT, p_source_commit TEXT)
RETURNS TEXT
LANGUAGE sql STABLE AS $$
    SELECT CASE
        WHEN EXISTS (SELECT FROM catalog_files f WHERE f.path = p_file_path AND f.is_broken)
            THEN p_source_commit
        ELSE coalesce((
            SELECT s.commit_hash FROM catalog_sync_status s
            WHERE s.status = 'completed' AND s.commit_hash IS NOT NULL
            ORDER BY s.sync_completed_at DESC LIMIT 1
        ), p_source_commit)
    END
$$;
