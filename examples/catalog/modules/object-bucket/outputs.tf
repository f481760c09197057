output "bucket" {
  description = "Full name of the bucket."
  value       = terraform_data.bucket.input.name
}

output "region" {
  description = "Where the bucket is."
  value       = local.region
}
