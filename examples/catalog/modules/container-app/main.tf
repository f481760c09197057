# Stands in for a cloud provider's container platform; see modules/postgres-database.

terraform {
  required_version = ">= 1.6"
}

locals {
  # "NAME=value" lines as a map; lines without "=" are left out.
  settings = {
    for line in split("\n", var.settings) :
    trimspace(split("=", line)[0]) => trimspace(join("=", slice(split("=", line), 1, length(split("=", line)))))
    if length(split("=", line)) > 1
  }
}

resource "terraform_data" "app" {
  input = {
    name        = var.name
    environment = var.environment
    image       = var.image
    cpu         = var.cpu
    settings    = local.settings
  }
}

resource "terraform_data" "replica" {
  count = var.replicas
  input = { of = terraform_data.app.id, number = count.index + 1 }
}
