variable "name" {
  description = "Name of the cache."
  type        = string
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string
}

variable "memory_mb" {
  description = "Memory in MB."
  type        = number

  validation {
    condition     = contains([256, 1024, 4096], var.memory_mb)
    error_message = "Caches have 256, 1024 or 4096 MB."
  }
}

variable "eviction" {
  description = "What goes when the memory is full, in Redis's own words."
  type        = string
}
