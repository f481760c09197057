output "endpoint" {
  description = "Host name of the database."
  value       = local.endpoint
}

output "port" {
  description = "TCP port."
  value       = 5432
}

output "database" {
  description = "Name of the database on the server."
  value       = replace(var.name, "-", "_")
}

output "username" {
  description = "The administrator's user name."
  value       = local.username
}

output "connection_url" {
  description = "Everything needed to connect, password included."
  value       = "postgresql://${local.username}:${urlencode(var.admin_password)}@${local.endpoint}:5432/${replace(var.name, "-", "_")}"
  sensitive   = true
}
