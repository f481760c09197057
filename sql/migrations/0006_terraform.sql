-- The state of Terraform's pg backend: its schema, table, sequence and index made here, so that the role that
-- Terraform connects with needs no right to create anything and sees nothing else.
CREATE SCHEMA terraform;
CREATE SEQUENCE public.global_states_id_seq AS bigint;
CREATE TABLE terraform.states (
    id bigint NOT NULL DEFAULT nextval('public.global_states_id_seq') PRIMARY KEY,
    name text UNIQUE,
    data text
);
CREATE UNIQUE INDEX states_by_name ON terraform.states (name);

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'pao_terraform') THEN
        CREATE ROLE pao_terraform NOLOGIN;
    END IF;
EXCEPTION WHEN duplicate_object OR unique_violation THEN
    NULL; -- made by a migration of another database of this server at the same moment
END $$;

GRANT USAGE ON SCHEMA terraform TO pao_terraform;
GRANT SELECT, INSERT, UPDATE, DELETE ON terraform.states TO pao_terraform;
GRANT USAGE ON SEQUENCE public.global_states_id_seq TO pao_terraform;
