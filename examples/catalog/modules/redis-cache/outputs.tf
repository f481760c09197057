output "endpoint" {
  description = "Host name of the cache."
  value       = "${var.name}.${var.environment}.cache.cloud.example"
}

output "port" {
  description = "TCP port."
  value       = 6379
}
