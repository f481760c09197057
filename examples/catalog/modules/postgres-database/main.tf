# Stands in for a cloud provider's database: terraform_data is built into Terraform, so the example
# runs anywhere. Replace the resources by your provider's; variables and outputs stay as they are.

terraform {
  required_version = ">= 1.6"
}

locals {
  sizes = {
    small  = { cpus = 2, memory_gb = 4 }
    medium = { cpus = 4, memory_gb = 16 }
    large  = { cpus = 16, memory_gb = 64 }
  }
  endpoint = "${var.name}.${var.environment}.db.cloud.example"
  username = "admin"
}

resource "terraform_data" "database" {
  # Storage cannot be encrypted afterwards, so a change makes the database anew.
  triggers_replace = var.encrypted

  input = {
    name           = var.name
    environment    = var.environment
    engine_version = var.engine_version
    cpus           = local.sizes[var.size].cpus
    memory_gb      = local.sizes[var.size].memory_gb
    storage_gb     = var.storage_gb
  }

  lifecycle {
    precondition {
      condition     = var.size != "small" || var.storage_gb <= 500
      error_message = "A small database takes at most 500 GB; choose medium or large."
    }
  }
}

resource "terraform_data" "standby" {
  count = var.high_availability ? 1 : 0
  input = { follows = terraform_data.database.id }
}

resource "terraform_data" "backup" {
  count = var.backup_days > 0 ? 1 : 0
  input = { of = terraform_data.database.id, days = var.backup_days }
}
