-- A number without leading zeros as text that sorts as the number does, up to 999 digits.
CREATE OR REPLACE FUNCTION semver_number_key(p_digits TEXT) RETURNS TEXT
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN lpad(length(p_digits)::text, 3, '0') || p_digits;
