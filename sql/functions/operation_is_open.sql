-- Whether somebody of these teams may see an update or upgrade; the same rule as for all documents.
CREATE OR REPLACE FUNCTION operation_is_open(p_type TEXT, p_name TEXT, p_teams TEXT[])
RETURNS BOOLEAN
LANGUAGE sql STABLE AS $$
    SELECT NOT EXISTS (
        SELECT FROM update_items u
        WHERE p_type = 'update' AND u.name = p_name
          AND NOT catalog_entry_is_open(u.access, u.owner, p_teams)
        UNION ALL
        SELECT FROM upgrade_items u
        WHERE p_type = 'upgrade' AND u.name = p_name
          AND NOT catalog_entry_is_open(u.access, u.owner, p_teams)
    )
$$;
