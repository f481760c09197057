output "internal_url" {
  description = "Where the app is reached inside the company."
  value       = "https://${var.name}.${var.environment}.apps.cloud.example"
}

output "replicas" {
  description = "Number of copies that run."
  value       = length(terraform_data.replica)
}
