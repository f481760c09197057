variable "name" {
  description = "Name of the database."
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]*[a-z0-9]$", var.name))
    error_message = "The name takes lower-case letters, digits and hyphens."
  }
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string
}

variable "engine_version" {
  description = "Major version of PostgreSQL."
  type        = string

  validation {
    condition     = contains(["16", "17"], var.engine_version)
    error_message = "PostgreSQL 16 and 17 are offered."
  }
}

variable "size" {
  description = "small, medium or large."
  type        = string

  validation {
    condition     = contains(["small", "medium", "large"], var.size)
    error_message = "The size is small, medium or large."
  }
}

variable "storage_gb" {
  description = "Storage in GB."
  type        = number
}

variable "backup_days" {
  description = "How many days backups are kept; 0 makes none."
  type        = number
  default     = 0
  nullable    = false
}

variable "high_availability" {
  description = "Whether a standby is kept in another zone."
  type        = bool
  default     = false
  nullable    = false
}

variable "encrypted" {
  description = "Whether the storage is encrypted with a key of the customer's own. Changing it makes the database anew."
  type        = bool
  default     = false
  nullable    = false
}

variable "admin_password" {
  description = "Password of the administrator."
  type        = string
  sensitive   = true

  validation {
    condition     = length(var.admin_password) >= 12
    error_message = "The password has at least 12 characters."
  }
}
