# Stands in for a cloud provider's object storage; see modules/postgres-database.

terraform {
  required_version = ">= 1.6"
}

locals {
  # Personal data stays where the law wants it.
  region = var.data_class == "personal" ? "eu-central-1" : "eu-west-1"
}

resource "terraform_data" "bucket" {
  input = {
    name       = "${var.name}-${var.environment}"
    region     = local.region
    encrypted  = true
    versioning = var.versioning
    public     = var.data_class == "public"
  }
}

resource "terraform_data" "reader" {
  for_each = toset(var.readers)
  input    = { bucket = terraform_data.bucket.id, team = each.value }
}

resource "terraform_data" "expiry" {
  count = var.expire_days == null ? 0 : 1
  input = { bucket = terraform_data.bucket.id, days = var.expire_days }
}
