variable "name" {
  description = "Name of the app."
  type        = string
}

variable "environment" {
  description = "dev, staging or prod."
  type        = string
}

variable "image" {
  description = "The container image, with a tag or a digest."
  type        = string

  validation {
    condition     = can(regex("[:@]", var.image))
    error_message = "Name a tag or a digest: without one, nobody knows what runs."
  }
}

variable "replicas" {
  description = "Number of copies."
  type        = number

  validation {
    condition     = var.replicas >= 1 && var.replicas <= 20
    error_message = "Between 1 and 20 copies can run."
  }
}

variable "cpu" {
  description = "CPUs for each copy."
  type        = number
}

variable "settings" {
  description = "Environment variables, one NAME=value a line."
  type        = string
  default     = ""
  nullable    = false
}
