-- Whether a listed instance passes the filters of a list; NULL does not filter. Each pattern must
-- match the name, the external id or the item's name.
--
-- PL/pgSQL, so that it is not inlined: the planner takes it for a filter that lets a third through,
-- and walks the index in order. It takes the same terms inline for very selective, and sorts all.
CREATE OR REPLACE FUNCTION instance_is_wanted(
    p_instance listed_instances, p_state TEXT, p_item TEXT, p_patterns TEXT[]
) RETURNS BOOLEAN
LANGUAGE plpgsql STABLE COST 1 AS $$
BEGIN
    RETURN (p_state IS NULL OR p_instance.instance_state = p_state)
        AND (p_item IS NULL OR p_item IN (p_instance.catalog_name, p_instance.catalog_slug))
        AND concat_ws(' ', p_instance.instance_name, p_instance.instance_id, p_instance.catalog_name)
            ~* ALL (p_patterns);
END;
$$;
