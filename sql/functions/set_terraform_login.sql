-- Lets the role of Terraform's state log in with a password, given as its SCRAM verifier, so that no
-- log ever has it in clear. With the definer's rights: an application role need not be able to change
-- roles. A role is of the whole server, so another database may be changing it at the same moment.
CREATE OR REPLACE FUNCTION set_terraform_login(p_verifier TEXT) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF p_verifier NOT LIKE 'SCRAM-SHA-256$%' THEN
        RAISE EXCEPTION 'The password of pao_terraform is not a SCRAM verifier'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    FOR v_try IN 1..20 LOOP
        BEGIN
            EXECUTE format('ALTER ROLE pao_terraform LOGIN PASSWORD %L', p_verifier);
            RETURN;
        EXCEPTION WHEN internal_error THEN
            IF v_try = 20 THEN
                RAISE;
            END IF;
            PERFORM pg_sleep(0.02 * v_try);
        END;
    END LOOP;
END;
$$;

REVOKE EXECUTE ON FUNCTION set_terraform_login(TEXT) FROM PUBLIC;
