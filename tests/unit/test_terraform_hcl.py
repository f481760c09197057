"""What a module declares, read from HCL as people write it."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.steps.terraform.hcl import module_declarations

TRICKY = r"""
# output "comment" {}
// output "comment2" {}
/* output "comment3" {
} */
variable "size" {
  type    = object({ a = string, sensitive = bool })
  default = { a = "output \"x\" {", sensitive = true }
}
variable bare {}
locals {
  text = "${join("}", ["{", "${var.size}"])} $${output \"no\" {"
  doc  = <<-EOT
    output "in_heredoc" { sensitive = true }
    "unbalanced quote
    EOT
}
output "plain" { value = local.text }
output "secret" {
  value     = "}"
  sensitive = true
}
output "not_secret" {
  sensitive   = false
  description = "sensitive = true"
  value       = { sensitive = true }
}
output bare_word {
  value = <<EOF
}
EOF
  sensitive = true
}
resource "terraform_data" "x" {
  sensitive = true
}
"""


def test_outputs_and_variables_are_found_wherever_they_stand(tmp_path) -> None:
    (tmp_path / "main.tf").write_text(TRICKY)
    (tmp_path / "more.tf.json").write_text(
        '{"output": [{"json": {"value": 1, "sensitive": true}}], "variable": {"v": [{}]}}'
    )
    (tmp_path / "README.md").write_text('output "readme" {}')
    found = module_declarations(tmp_path)
    assert found.variables == {"size", "bare", "v"}
    assert found.outputs == {
        "plain": False,
        "secret": True,
        "not_secret": False,
        "bare_word": True,
        "json": True,
    }


@pytest.mark.parametrize("text", ['x = "', "x = <<EOT\n", 'x = "${', '{"output": ', 'x = "${"'])
def test_what_has_no_end_is_an_error_that_names_the_file(tmp_path, text: str) -> None:
    name = "main.tf.json" if text.startswith("{") else "main.tf"
    (tmp_path / name).write_text(text)
    with pytest.raises(ValueError, match=name):
        module_declarations(tmp_path)


@given(st.text(st.sampled_from('"{}$%\\\n #/*<EOT=a[]()-'), max_size=60))
def test_no_text_makes_it_hang_or_crash(tmp_path_factory, text: str) -> None:
    folder = tmp_path_factory.mktemp("module")
    (folder / "main.tf").write_text(text)
    with contextlib.suppress(ValueError):
        module_declarations(folder)
