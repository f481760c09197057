# Stands in for a cloud provider's cache; see modules/postgres-database.

terraform {
  required_version = ">= 1.6"
}

resource "terraform_data" "cache" {
  input = {
    name        = var.name
    environment = var.environment
    memory_mb   = var.memory_mb
    eviction    = var.eviction
  }
}
