-- An external id that nobody can guess: `si-` and twelve characters of a-z0-9 from random bytes.
-- Bytes 6 and 8 of a version 4 UUID are not random throughout and stay out.
CREATE OR REPLACE FUNCTION new_instance_id() RETURNS VARCHAR
LANGUAGE sql VOLATILE AS $$
    SELECT 'si-' || string_agg(
        substr('abcdefghijklmnopqrstuvwxyz0123456789', 1 + get_byte(random.bytes, byte) % 36, 1), '')
    FROM (SELECT uuid_send(gen_random_uuid()) AS bytes) AS random,
        unnest(ARRAY[0, 1, 2, 3, 4, 5, 9, 10, 11, 12, 13, 14]) AS byte
$$;
