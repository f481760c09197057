-- name: set_login
-- Let the role of Terraform's state log in with the password of this verifier.
SELECT set_terraform_login(%(verifier)s);
