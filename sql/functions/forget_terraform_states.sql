-- Removes the emptied states of decommissioned instances: those that their steps worked on
-- (`<instance>--<state>`, engine/steps/terraform) and in which Terraform left nothing. What still
-- holds something stays, and so does what cannot be read.
--
-- With the definer's rights, since nobody else sees the states; whoever may call it can remove no
-- state of an instance that lives.
CREATE OR REPLACE FUNCTION forget_terraform_states(p_instance_ids UUID[]) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    v_state RECORD;
BEGIN
    FOR v_state IN
        SELECT DISTINCT kept.id, kept.data
        FROM public.service_instances gone
        JOIN public.service_requests r ON r.subject_instance_id = ANY (p_instance_ids)
            OR r.id = gone.creation_request_id
        JOIN public.request_steps s ON s.request_id = r.id
        JOIN terraform.states kept ON kept.name = s.external ->> 'workspace'
        WHERE gone.id = ANY (p_instance_ids) AND gone.instance_state = 'decommissioned'
          AND starts_with(kept.name, gone.instance_id || '--')
    LOOP
        BEGIN
            IF v_state.data::jsonb -> 'resources' = '[]' THEN
                DELETE FROM terraform.states WHERE id = v_state.id;
            END IF;
        EXCEPTION WHEN invalid_text_representation OR untranslatable_character THEN
            NULL; -- not Terraform's JSON: not ours to judge
        END;
    END LOOP;
END;
$$;
